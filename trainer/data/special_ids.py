"""The special ids of the shards' vocabulary, by what they are for."""

import numpy as np

from shards.manifest import TokenizerInfo
from shards.roles import ROLES
from trainer.jit import Int64


def special_ids(tokenizer: TokenizerInfo) -> Int64:
    """(5 + R,) the ids of start, pad, end, unknown and mask, then the R ids that are never masked
    and never a random replacement, rising.

    Those are all special ids; but the unknown token of a vocabulary that is not lossless is an
    ordinary one. `run.check_data` has refused vocabularies that lack a role.
    """
    by_role = [tokenizer.roles[role] for role in ROLES]
    return np.array(by_role + tokenizer.reserved, np.int64)
