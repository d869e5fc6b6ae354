"""The encoder of RoBERTa, BERT and SpanBERT: post-LN layers, learned positions, token types.

What differs between the families is numbers, not code: RoBERTa counts positions from pad_id + 1 and
has one token type that is never trained; BERT counts from 0 and has two. Padding is left out: the
layers see the real tokens in one line (`layout.py`). Shape letters: B rows, T tokens in a row, N
tokens in the line, H width.

Under autocast everything between two products is in its 16 bits, and each LayerNorm adds and
measures in fp32: compiled, that is one pass over memory.

The word embeddings have V rounded up to a multiple of 64 rows: products with an odd V miss the
tensor cores. The rows beyond V are zero and their logits are pinned to the lowest number, so they
get no share of the softmax and no gradient.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.config import ModelConfig
from trainer.models.attention import attend
from trainer.models.dropout import drop
from trainer.models.layout import Layout, lay_out, second_parts, whole_rows

# The rows of the word embeddings are a multiple of this.
ROWS_MULTIPLE = 64


def token_types(config: ModelConfig) -> int:
    """How many token types a family has."""
    return 1 if config.family == "roberta" else 2


def first_position(config: ModelConfig) -> int:
    """The row of the position table for the first token; the rows before it are for padding."""
    return config.pad_id + 1 if config.family == "roberta" else 0


class Embeddings(nn.Module):
    """Word + position + token type, LayerNorm, dropout: ids (N,) int64 -> (N, H)."""

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
        self.dropout = config.dropout

    def forward(self, ids_N: Tensor, layout: Layout, end_id: int | None) -> Tensor:
        """`end_id` ends the first part of a pair; None where every type is 0."""
        # The row before the first position is that of padding; BERT has none and takes row 0.
        pad_position = max(self.first_position - 1, 0)
        real = layout.places >= 0
        positions_N = torch.where(real, layout.places + self.first_position, pad_position)

        types = self.token_type_embeddings.weight[0]
        if end_id is not None and self.types > 1:
            types = self.token_type_embeddings(second_parts(ids_N == end_id, layout.starts))
        x = self.word_embeddings(ids_N) + self.position_embeddings(positions_N) + types
        normal = normalise(self.norm, x, None, product_dtype(x))
        return drop(normal, self.dropout if self.training else 0.0)


def product_dtype(x: Tensor) -> torch.dtype:
    """The dtype in which products are computed: that of autocast where it is on."""
    if torch.is_autocast_enabled(x.device.type):
        return torch.get_autocast_dtype(x.device.type)
    return x.dtype


def normalise(norm: nn.LayerNorm, x: Tensor, added: Tensor | None, dtype: torch.dtype) -> Tensor:
    """LayerNorm of the sum of `x` and `added`, computed in fp32 at least, as `dtype`."""
    wide = torch.promote_types(x.dtype, torch.float32)
    total = x.to(wide) if added is None else x.to(wide) + added.to(wide)
    return F.layer_norm(total, norm.normalized_shape, norm.weight, norm.bias, norm.eps).to(dtype)


def make_table(rows: int, width: int, pad_id: int | None) -> nn.Embedding:
    """An embedding without weights: `_weight` skips torch's own draw, since `build` makes them."""
    return nn.Embedding(rows, width, padding_idx=pad_id, _weight=torch.empty(rows, width))


class Layer(nn.Module):
    """Self-attention and feed-forward, each LN(x + dropout(sublayer(x))): (N, H) -> same."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        H = config.hidden
        D = config.intermediate
        eps = config.layer_norm_eps
        self.heads = config.heads
        self.attention_dropout = config.attention_dropout

        # The first weights are numbered in this order, so it never changes. The published query,
        # key and value are parts of one product (`pretraining.PARTS`).
        self.qkv = nn.Linear(H, 3 * H)
        self.mixed = nn.Linear(H, H)
        self.mixed_norm = nn.LayerNorm(H, eps=eps)
        self.inner = nn.Linear(H, D)
        self.outer = nn.Linear(D, H)
        self.outer_norm = nn.LayerNorm(H, eps=eps)
        self.dropout = config.dropout

    def forward(self, x: Tensor, layout: Layout, longest: int) -> Tensor:
        """No sequence is longer than `longest` tokens."""
        N, H = x.shape
        dropout = self.dropout if self.training else 0.0
        attention_dropout = self.attention_dropout if self.training else 0.0

        qkv = self.qkv(x).view(N, 3, self.heads, H // self.heads)
        mixed = attend(qkv, layout.ends, longest, attention_dropout)
        mixed = drop(self.mixed(mixed.reshape(N, H)), dropout)
        x = normalise(self.mixed_norm, x, mixed, x.dtype)

        inner = self.outer(F.gelu(self.inner(x)))
        return normalise(self.outer_norm, x, drop(inner, dropout), x.dtype)


class Encoder(nn.Module):
    """Embeddings and layers over the real tokens of rows."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.pad_id = config.pad_id
        self.end_id = config.end_id
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))

    def line(self, ids_BT: Tensor, layout: Layout, pairs: bool = False) -> Tensor:
        """The hidden states (N, H) of the line of a layout, from the ids of its rows, int64. With
        `pairs` a sequence is `<s> A </s> B </s>`, and B has a token type of its own."""
        ids_N = ids_BT.reshape(-1).index_select(0, layout.source)
        x: Tensor = self.embeddings(ids_N, layout, self.end_id if pairs else None)
        for layer in self.layers:
            x = layer(x, layout, ids_BT.shape[1])
        return x

    def forward(
        self, ids_BT: Tensor, lengths_BS: Tensor | None = None, pairs: bool = False
    ) -> Tensor:
        """The hidden states (B, T, H) of rows of ids, 0 for padding.

        `lengths_BS` int64 are the tokens of each sequence in a row, 0 beyond the last; without it a
        row is one sequence and its padding. Lengths that are not on the CPU are fetched first.
        """
        B, T = ids_BT.shape
        layout = self.lay_out(ids_BT, lengths_BS)
        x = self.line(ids_BT, layout, pairs)
        rows = x.new_zeros((B * T, x.shape[1])).index_copy(0, layout.source, x)
        return rows.view(B, T, -1)

    def lay_out(self, ids_BT: Tensor, lengths_BS: Tensor | None) -> Layout:
        """The layout of rows, on their device; `lengths_BS` is as in `forward`."""
        if lengths_BS is None:
            lengths_BS = whole_rows(ids_BT, self.pad_id)
        return lay_out(lengths_BS.cpu(), ids_BT.shape[1]).to(ids_BT.device)
