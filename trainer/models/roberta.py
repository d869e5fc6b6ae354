"""RoBERTa in one file: a post-LN encoder with learned positions, and a head that is tied to the
embeddings and applied to masked tokens only.

Parameters have the published names (`roberta.encoder.layer.0.attention.self.query.weight`), so a
state dict is a Hugging Face checkpoint (`published_state`). Shape letters: B samples, T tokens, H
width, M masked, V vocabulary.

The word embeddings have V rounded up to a multiple of 64 rows: products with an odd V miss the
tensor cores. The rows beyond V are zero and their logits are pinned to the lowest number, so they
get no share of the softmax and no gradient.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.chance import WEIGHTS, make_key
from trainer.config import ModelConfig

WORDS = "roberta.embeddings.word_embeddings.weight"

# Published copies of tied weights, which are left out when a checkpoint is read.
TIED = ("lm_head.decoder.weight", "lm_head.decoder.bias")

# The rows of the word embeddings are a multiple of this.
ROWS_MULTIPLE = 64


class Embeddings(nn.Module):
    """Word + position + token type, LayerNorm, dropout: ids (B, T) and lengths (B, S) int64 ->
    (B, T, H)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        rows = math.ceil(config.vocab_size / ROWS_MULTIPLE) * ROWS_MULTIPLE
        positions = config.positions + config.pad_id + 1

        self.pad_id = config.pad_id
        self.word_embeddings = make_table(rows, config.hidden, config.pad_id)
        self.position_embeddings = make_table(positions, config.hidden, config.pad_id)
        self.token_type_embeddings = make_table(1, config.hidden, None)
        self.LayerNorm = nn.LayerNorm(config.hidden, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, ids_BT: Tensor, lengths_BS: Tensor) -> Tensor:
        # fairseq counts positions from pad_id + 1 over real tokens; padding stays at pad_id.
        real = (ids_BT != self.pad_id).long()
        positions_BT = real.cumsum(1) * real + self.pad_id
        if lengths_BS.shape[1] > 1:
            # Each sequence counts from its own start.
            starts_BS = F.pad(lengths_BS.cumsum(1), (1, 0))
            starts_BT = starts_BS.gather(1, sequence_of(ids_BT, lengths_BS))
            positions_BT = positions_BT - starts_BT * real

        x = (
            self.word_embeddings(ids_BT)
            + self.position_embeddings(positions_BT)
            + self.token_type_embeddings.weight[0]
        )
        out: Tensor = self.dropout(self.LayerNorm(x))
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

        # The containers only give the published names; the computation is all in `forward`.
        projections = nn.ModuleDict(
            {"query": nn.Linear(H, H), "key": nn.Linear(H, H), "value": nn.Linear(H, H)}
        )
        mixed = nn.ModuleDict({"dense": nn.Linear(H, H), "LayerNorm": nn.LayerNorm(H, eps=eps)})
        self.attention = nn.ModuleDict({"self": projections, "output": mixed})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(H, D)})
        self.output = nn.ModuleDict(
            {"dense": nn.Linear(D, H), "LayerNorm": nn.LayerNorm(H, eps=eps)}
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        """`keep` (B, 1, 1, T) bool is True for tokens that may be attended to."""
        B, T, H = x.shape
        attention = self.attention["self"]
        output = self.attention["output"]

        shape = (B, T, self.heads, H // self.heads)
        q = attention["query"](x).view(shape).transpose(1, 2)  # type: ignore[operator, index]
        k = attention["key"](x).view(shape).transpose(1, 2)  # type: ignore[operator, index]
        v = attention["value"](x).view(shape).transpose(1, 2)  # type: ignore[operator, index]
        dropout = self.attention_dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=keep, dropout_p=dropout)

        mixed = mixed.transpose(1, 2).reshape(B, T, H)
        mixed = output["dense"](mixed)  # type: ignore[operator, index]
        x = output["LayerNorm"](x + self.dropout(mixed))  # type: ignore[operator, index]
        inner = self.output["dense"](F.gelu(self.intermediate["dense"](x)))
        out: Tensor = self.output["LayerNorm"](x + self.dropout(inner))
        return out


class Encoder(nn.Module):
    """The layers, one after the other."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(config) for _ in range(config.layers))


class Roberta(nn.Module):
    """Embeddings and encoder: ids (B, T) and lengths (B, S) int64 -> (B, T, H)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)

    def forward(self, ids_BT: Tensor, lengths_BS: Tensor) -> Tensor:
        keep = (ids_BT != self.embeddings.pad_id)[:, None, None, :]
        if lengths_BS.shape[1] > 1:
            sequence_BT = sequence_of(ids_BT, lengths_BS)
            keep = (sequence_BT[:, :, None] == sequence_BT[:, None, :])[:, None]
        x: Tensor = self.embeddings(ids_BT, lengths_BS)
        for layer in self.encoder.layer:
            x = layer(x, keep)
        return x


def sequence_of(ids_BT: Tensor, lengths_BS: Tensor) -> Tensor:
    """The sequence that each place belongs to, (B, T) int64; S for padding."""
    places = torch.arange(ids_BT.shape[1], device=ids_BT.device).expand(ids_BT.shape)
    return torch.searchsorted(lengths_BS.cumsum(1), places.contiguous(), right=True)


class MaskedLMHead(nn.Module):
    """Dense, GELU, LayerNorm: (M, H) -> (M, H). `MaskedLM.forward` does the tied product with the
    word embeddings."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden, config.hidden)
        self.layer_norm = nn.LayerNorm(config.hidden, eps=config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer_norm(F.gelu(self.dense(x)))
        return out


class MaskedLM(nn.Module):
    """RoBERTa with its masked-language-model head: ids and places -> logits."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.roberta = Roberta(config)
        self.lm_head = MaskedLMHead(config)
        # fairseq has no token types: the row stays zero, or as imported. It is exported but never
        # trained.
        self.roberta.embeddings.token_type_embeddings.weight.requires_grad_(False)

    def forward(self, ids_BT: Tensor, lengths_BS: Tensor, places_M: Tensor) -> Tensor:
        """Logits (M, V rounded up) at flat places of the batch.

        `ids_BT`, `lengths_BS` and `places_M` are int64; the lengths are those of the sequences in a
        row, each of which attends to itself alone. Only the masked places are projected to the
        vocabulary, which saves a third of a training step at 15 %.
        """
        hidden = self.roberta(ids_BT, lengths_BS).reshape(-1, self.config.hidden)
        masked = self.lm_head(hidden.index_select(0, places_M))

        words = self.roberta.embeddings.word_embeddings.weight
        bias = self.lm_head.bias
        # fp16's lowest number, so that the pinned logits stay finite in every precision.
        added = words.shape[0] - bias.shape[0]
        lowest = torch.finfo(torch.float16).min if added else 0.0
        return F.linear(masked, words, F.pad(bias, (0, added), value=lowest))


# --- weights


@torch.no_grad()
def build(config: ModelConfig, seed: int) -> MaskedLM:
    """A new model on the CPU in fp32, its weights as fairseq's `init_bert_params` draws them.

    Each tensor comes from its own key, so the weights do not depend on the order of the draws.
    """
    with torch.device("meta"):
        model = MaskedLM(config)
    model = model.to_empty(device="cpu")

    for number, (name, parameter) in enumerate(model.named_parameters()):
        # torch takes seeds of 63 bits.
        generator = torch.Generator().manual_seed(int(make_key(seed, WEIGHTS, 0, number)) >> 1)
        if name.endswith("bias") or "token_type" in name:
            parameter.zero_()
        elif "LayerNorm" in name or "layer_norm" in name:
            parameter.fill_(1.0)
        else:
            parameter.normal_(0.0, 0.02, generator=generator)

    words = model.roberta.embeddings.word_embeddings.weight
    positions = model.roberta.embeddings.position_embeddings.weight
    words[config.pad_id].zero_()
    positions[config.pad_id].zero_()
    words[config.vocab_size :].zero_()
    return model


def published_state(model: MaskedLM) -> dict[str, Tensor]:
    """The weights by their published names and shapes, without the rows beyond the vocabulary.

    The tensors are views, not copies.
    """
    state = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    state[WORDS] = state[WORDS][: model.config.vocab_size]
    return state


@torch.no_grad()
def load_published(model: MaskedLM, state: dict[str, Tensor]) -> None:
    """Copy published weights into the model, exactly.

    `state` must hold every weight (`pretrained.read_pretrained`). Raises `ValueError` for a shape
    that does not fit.
    """
    for name, tensor in model.state_dict().items():
        if name == WORDS:
            tensor.zero_()
            tensor = tensor[: model.config.vocab_size]
        if state[name].shape != tensor.shape:
            raise ValueError(
                f"{name}: shape {tuple(state[name].shape)}, the model has {tuple(tensor.shape)}"
            )
        tensor.copy_(state[name])


# --- sizes


def count_parameters(config: ModelConfig) -> int:
    """The number of parameters as published, without the rows that round the vocabulary up."""
    H = config.hidden
    D = config.intermediate

    # Word, position and token type embeddings, and a LayerNorm.
    positions = config.positions + config.pad_id + 1
    embeddings = (config.vocab_size + positions + 1 + 2) * H
    # Four projections, two feed-forward products, two LayerNorms.
    layer = 4 * (H * H + H) + 2 * H * D + D + H + 4 * H
    head = H * H + 3 * H + config.vocab_size
    return embeddings + config.layers * layer + head


def flops_per_token(config: ModelConfig, length: int, rate: float) -> float:
    """Floating-point operations per token of a training step, forward and backward; a multiply-add
    counts two.

    6 * weights of the layers + 12 * layers * width * length (attention) + rate * 6 * (H * V + H *
    H) (the head, on the masked tokens only).
    """
    H = config.hidden
    V = config.vocab_size
    layer = 4 * H * H + 2 * H * config.intermediate
    attention = 12.0 * config.layers * H * length
    return 6.0 * config.layers * layer + attention + rate * 6.0 * (H * V + H * H)
