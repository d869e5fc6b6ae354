"""The heads over the encoder: masked tokens, the next sentence, the tokens of a span.

A head that ends in the vocabulary ends in the word embeddings and a bias of its own
(`vocabulary_logits`). Shape letters: M places, N sequences, H width, V vocabulary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.config import ModelConfig
from trainer.models.encoder import make_table, normalise

# The width of the span head's position table, as published (SpanBERT,
# --pair-positional-embedding-size).
SPAN_POSITION_WIDTH = 200


class MaskedHead(nn.Module):
    """Dense, GELU, LayerNorm: (M, H) -> (M, H), and the bias of the vocabulary."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden, config.hidden)
        self.norm = nn.LayerNorm(config.hidden, eps=config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.dense(x))
        return normalise(self.norm, x, None, x.dtype)


class NextSentenceHead(nn.Module):
    """The pooler (dense and tanh over the first token) and two classes: (N, H) -> (N, 2).

    Class 0 says that the second part follows the first one in its document, class 1 that it is from
    another document.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.pooler = nn.Linear(config.hidden, config.hidden)
        self.classes = nn.Linear(config.hidden, 2)

    def forward(self, first: Tensor) -> Tensor:
        out: Tensor = self.classes(torch.tanh(self.pooler(first)))
        return out


class SpanHead(nn.Module):
    """A masked token from the tokens beside its span and its position in the span (SpanBERT paper,
    section 3.2): two layers of dense, GELU and LayerNorm, (M, H) twice and (M,) -> (M, H); and the
    bias of the vocabulary."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        H = config.hidden
        eps = config.layer_norm_eps
        self.positions = make_table(config.span_targets, SPAN_POSITION_WIDTH, None)
        self.dense1 = nn.Linear(2 * H + SPAN_POSITION_WIDTH, H)
        self.norm1 = nn.LayerNorm(H, eps=eps)
        self.dense2 = nn.Linear(H, H)
        self.norm2 = nn.LayerNorm(H, eps=eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, left: Tensor, right: Tensor, offset_M: Tensor) -> Tensor:
        """`offset_M` int64 counts from 1. Tokens past the table get its last row, and no loss."""
        rows = self.positions.weight.shape[0]
        position = self.positions((offset_M - 1).clamp(0, rows - 1))
        x = torch.cat([left, right, position], -1)
        x = F.gelu(self.dense1(x))
        x = normalise(self.norm1, x, None, x.dtype)
        x = F.gelu(self.dense2(x))
        return normalise(self.norm2, x, None, x.dtype)


def vocabulary_logits(x: Tensor, words: Tensor, bias: Tensor) -> Tensor:
    """The product of `x` (M, H) with the word embeddings `words` (V rounded up, H), plus `bias`
    (V,). The rows beyond V get fp16's lowest number, which stays finite in every precision."""
    added = words.shape[0] - bias.shape[0]
    lowest = torch.finfo(torch.float16).min if added else 0.0
    return F.linear(x, words, F.pad(bias, (0, added), value=lowest))
