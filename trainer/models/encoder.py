"""The encoder of RoBERTa, BERT and SpanBERT: post-LN layers, learned positions, token types.

What differs between the families is numbers, not code: RoBERTa counts positions from pad_id + 1 and
has one token type that is never trained; BERT counts from 0 and has two. Shape letters: B rows, T
tokens, H width.

The word embeddings have V rounded up to a multiple of 64 rows: products with an odd V miss the
tensor cores. The rows beyond V are zero and their logits are pinned to the lowest number, so they
get no share of the softmax and no gradient.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.config import ModelConfig
from trainer.models.layout import Layout, lay_out

# The rows of the word embeddings are a multiple of this.
ROWS_MULTIPLE = 64


def token_types(config: ModelConfig) -> int:
    """How many token types a family has."""
    return 1 if config.family == "roberta" else 2


def first_position(config: ModelConfig) -> int:
    """The row of the position table for the first token; the rows before it are for padding."""
    return config.pad_id + 1 if config.family == "roberta" else 0


class Embeddings(nn.Module):
    """Word + position + token type, LayerNorm, dropout: ids (B, T) int64 -> (B, T, H)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        H = config.hidden
        self.first_position = first_position(config)
        self.types = token_types(config)

        rows = math.ceil(config.vocab_size / ROWS_MULTIPLE) * ROWS_MULTIPLE
        positions = config.positions + self.first_position
        pad_position = config.pad_id if self.first_position else None
        self.word_embeddings = make_table(rows, H, config.pad_id)
        self.position_embeddings = make_table(positions, H, pad_position)
        self.token_type_embeddings = make_table(self.types, H, None)
        self.norm = nn.LayerNorm(H, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, ids_BT: Tensor, layout: Layout) -> Tensor:
        # The row before the first position is that of padding; BERT has none and takes row 0.
        pad_position = max(self.first_position - 1, 0)
        positions_BT = torch.where(layout.real, layout.places + self.first_position, pad_position)

        types = self.token_type_embeddings.weight[0]
        if self.types > 1:
            types = self.token_type_embeddings(layout.types)
        x = self.word_embeddings(ids_BT) + self.position_embeddings(positions_BT) + types
        out: Tensor = self.dropout(self.norm(x))
        return out


def make_table(rows: int, width: int, pad_id: int | None) -> nn.Embedding:
    """An embedding without weights: `_weight` skips torch's own draw, since `build` makes them."""
    return nn.Embedding(rows, width, padding_idx=pad_id, _weight=torch.empty(rows, width))


class Layer(nn.Module):
    """Self-attention and feed-forward, each LN(x + dropout(sublayer(x))): (B, T, H) -> same."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        H = config.hidden
        D = config.intermediate
        eps = config.layer_norm_eps
        self.heads = config.heads
        self.attention_dropout = config.attention_dropout

        # The first weights are numbered in this order, so it never changes.
        self.query = nn.Linear(H, H)
        self.key = nn.Linear(H, H)
        self.value = nn.Linear(H, H)
        self.mixed = nn.Linear(H, H)
        self.mixed_norm = nn.LayerNorm(H, eps=eps)
        self.inner = nn.Linear(H, D)
        self.outer = nn.Linear(D, H)
        self.outer_norm = nn.LayerNorm(H, eps=eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        """`keep`, (B, 1, 1, T) or (B, 1, T, T) bool, is True where attention may look."""
        B, T, H = x.shape
        shape = (B, T, self.heads, H // self.heads)
        q = self.query(x).view(shape).transpose(1, 2)
        k = self.key(x).view(shape).transpose(1, 2)
        v = self.value(x).view(shape).transpose(1, 2)
        dropout = self.attention_dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=keep, dropout_p=dropout)

        mixed = self.mixed(mixed.transpose(1, 2).reshape(B, T, H))
        x = self.mixed_norm(x + self.dropout(mixed))
        inner = self.outer(F.gelu(self.inner(x)))
        out: Tensor = self.outer_norm(x + self.dropout(inner))
        return out


class Encoder(nn.Module):
    """Embeddings and layers: ids (B, T) int64 -> (B, T, H)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.pad_id = config.pad_id
        self.end_id = config.end_id
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))

    def forward(
        self, ids_BT: Tensor, lengths_BS: Tensor | None = None, pairs: bool = False
    ) -> Tensor:
        """`lengths_BS` int64 are the tokens of each sequence in a row, 0 beyond the last; without
        it a row is one sequence and its padding. With `pairs` a sequence has two token types."""
        if lengths_BS is None:
            lengths_BS = (ids_BT != self.pad_id).sum(1, keepdim=True)

        layout = lay_out(ids_BT, lengths_BS, self.end_id, pairs and self.embeddings.types > 1)
        x: Tensor = self.embeddings(ids_BT, layout)
        for layer in self.layers:
            x = layer(x, layout.keep)
        return x
