"""How large a model is and what a step of it costs, from its shape alone."""

from trainer.config import ModelConfig
from trainer.models.encoder import first_position, token_types
from trainer.models.heads import SPAN_POSITION_WIDTH


def count_parameters(config: ModelConfig) -> int:
    """The number of parameters as published, without the rows that round the vocabulary up."""
    H = config.hidden
    D = config.intermediate
    V = config.vocab_size

    # Word, position and token type embeddings, and a LayerNorm.
    positions = config.positions + first_position(config)
    embeddings = (V + positions + token_types(config) + 2) * H
    # Four projections, two feed-forward products, two LayerNorms.
    layer = 4 * (H * H + H) + 2 * H * D + D + H + 4 * H
    masked = H * H + 3 * H + V
    total = embeddings + config.layers * layer + masked

    if config.next_head:
        total += H * H + H + 2 * H + 2
    if config.span_head:
        P = SPAN_POSITION_WIDTH
        total += config.span_targets * P + (2 * H + P) * H + H * H + 6 * H + V
    return total


def flops_per_token(config: ModelConfig, length: float, rate: float) -> float:
    """Floating-point operations per token of a training step, forward and backward, in sequences
    of `length` tokens; a multiply-add counts two.

    6 * weights of the layers + 12 * layers * width * length (attention) + rate * 6 * (H * V + H *
    H) (the head, on the masked tokens only). The span head adds its two layers and the vocabulary
    once more, at the same rate; the pooler, once a sequence, is left out.
    """
    H = config.hidden
    V = config.vocab_size
    layer = 4 * H * H + 2 * H * config.intermediate
    attention = 12.0 * config.layers * H * length
    heads = H * V + H * H
    if config.span_head:
        heads += H * V + (3 * H + SPAN_POSITION_WIDTH) * H
    return 6.0 * config.layers * layer + attention + rate * 6.0 * heads
