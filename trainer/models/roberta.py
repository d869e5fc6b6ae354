"""RoBERTa in one file: post-LN encoder, learned positions, head tied to the embeddings and applied
to masked tokens only.

Parameters carry the published names (`roberta.encoder.layer.0.attention.self.query.weight`), so a
state dict is a Hugging Face checkpoint (`published_state`). Shape letters: B samples, T tokens, H
width, N heads, M masked, V vocabulary.

The word embeddings hold V rounded up to 64 rows: products with an odd V miss the tensor cores. The
rows beyond V are zero, their logits are pinned to the lowest number, so they get no share of the
softmax and no gradient.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.chance import WEIGHTS, make_key
from trainer.config import ModelConfig

WORDS = "roberta.embeddings.word_embeddings.weight"

TIED = ("lm_head.decoder.weight", "lm_head.decoder.bias")

_MULTIPLE = 64


class Embeddings(nn.Module):
    """Word + position + token type, LayerNorm, dropout: ids (B, T) -> (B, T, H)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        rows = math.ceil(config.vocab_size / _MULTIPLE) * _MULTIPLE
        self.pad_id = config.pad_id
        self.word_embeddings = _table(rows, config.hidden, config.pad_id)
        self.position_embeddings = _table(
            config.positions + config.pad_id + 1, config.hidden, config.pad_id
        )
        self.token_type_embeddings = _table(1, config.hidden, None)
        self.LayerNorm = nn.LayerNorm(config.hidden, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, ids_BT: Tensor) -> Tensor:
        real = (ids_BT != self.pad_id).long()
        # Positions are counted from pad + 1 over real tokens; padding stays at pad (trainer-peers:
        # first real token 2).
        positions_BT = real.cumsum(1) * real + self.pad_id
        x = (
            self.word_embeddings(ids_BT)
            + self.position_embeddings(positions_BT)
            + self.token_type_embeddings.weight[0]
        )
        out: Tensor = self.dropout(self.LayerNorm(x))
        return out


def _table(rows: int, width: int, pad_id: int | None) -> nn.Embedding:
    # `_weight` skips torch's own draw of the weights: `build` makes them
    return nn.Embedding(rows, width, padding_idx=pad_id, _weight=torch.empty(rows, width))


class Layer(nn.Module):
    """Self-attention and feed-forward, each LN(x + dropout(sublayer(x))): (B, T, H) -> (B, T,
    H)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        H, D = config.hidden, config.intermediate
        self.heads, self.attention_dropout = config.heads, config.attention_dropout
        # Containers only give the published names; the computation is all in `forward`.
        self.attention = nn.ModuleDict(
            {
                "self": nn.ModuleDict(
                    {"query": nn.Linear(H, H), "key": nn.Linear(H, H), "value": nn.Linear(H, H)}
                ),
                "output": nn.ModuleDict(
                    {
                        "dense": nn.Linear(H, H),
                        "LayerNorm": nn.LayerNorm(H, eps=config.layer_norm_eps),
                    }
                ),
            }
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(H, D)})
        self.output = nn.ModuleDict(
            {"dense": nn.Linear(D, H), "LayerNorm": nn.LayerNorm(H, eps=config.layer_norm_eps)}
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        """`keep` (B, 1, 1, T) is True where a token may be looked at."""
        B, T, H = x.shape
        attention, output = self.attention["self"], self.attention["output"]
        shape = (B, T, self.heads, H // self.heads)
        q = attention["query"](x).view(shape).transpose(1, 2)  # type: ignore[operator, index]
        k = attention["key"](x).view(shape).transpose(1, 2)  # type: ignore[operator, index]
        v = attention["value"](x).view(shape).transpose(1, 2)  # type: ignore[operator, index]
        dropout = self.attention_dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=keep, dropout_p=dropout)
        mixed = output["dense"](mixed.transpose(1, 2).reshape(B, T, H))  # type: ignore[operator, index]
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
    """Embeddings and encoder: ids (B, T) int64 -> (B, T, H)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)

    def forward(self, ids_BT: Tensor) -> Tensor:
        keep = (ids_BT != self.embeddings.pad_id)[:, None, None, :]
        x: Tensor = self.embeddings(ids_BT)
        for layer in self.encoder.layer:
            x = layer(x, keep)
        return x


class MaskedLMHead(nn.Module):
    """dense, GELU, LayerNorm; the tied product with the word embeddings is in
    `MaskedLM.forward`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden, config.hidden)
        self.layer_norm = nn.LayerNorm(config.hidden, eps=config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer_norm(F.gelu(self.dense(x)))
        return out


class MaskedLM(nn.Module):
    """RoBERTa with its masked-language-model head."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.roberta = Roberta(config)
        self.lm_head = MaskedLMHead(config)
        # fairseq has no token types: the row stays zero, or as imported. It is exported, never
        # trained.
        self.roberta.embeddings.token_type_embeddings.weight.requires_grad_(False)

    def forward(self, ids_BT: Tensor, places_M: Tensor) -> Tensor:
        """Logits (M, V rounded up) at flat places of the batch; projecting 15 % of the places saves
        a third of the step."""
        hidden = self.roberta(ids_BT).reshape(-1, self.config.hidden)
        words = self.roberta.embeddings.word_embeddings.weight
        bias = self.lm_head.bias
        lowest = torch.finfo(torch.float16).min if words.shape[0] > bias.shape[0] else 0.0
        return F.linear(
            self.lm_head(hidden.index_select(0, places_M)),
            words,
            F.pad(bias, (0, words.shape[0] - bias.shape[0]), value=lowest),
        )


def build(config: ModelConfig, seed: int) -> MaskedLM:
    """A new model on the CPU, fp32. Weights as fairseq's `init_bert_params`, each tensor from its
    own key."""
    with torch.device("meta"):
        model = MaskedLM(config)
    model = model.to_empty(device="cpu")
    padding = (
        model.roberta.embeddings.word_embeddings.weight,
        model.roberta.embeddings.position_embeddings.weight,
    )
    for number, (name, parameter) in enumerate(model.named_parameters()):
        generator = torch.Generator().manual_seed(int(make_key(seed, WEIGHTS, 0, number)) >> 1)
        with torch.no_grad():
            if name.endswith("bias") or "token_type" in name:
                parameter.zero_()
            elif "LayerNorm" in name or "layer_norm" in name:
                parameter.fill_(1.0)
            else:
                parameter.normal_(0.0, 0.02, generator=generator)
    with torch.no_grad():
        for embedding in padding:
            embedding[config.pad_id].zero_()
        padding[0][config.vocab_size :].zero_()
    return model


def published_state(model: MaskedLM) -> dict[str, Tensor]:
    """The weights by their published names and shapes, without the rows beyond the vocabulary
    (views, not copies)."""
    return {
        name: tensor.detach()[: model.config.vocab_size] if name == WORDS else tensor.detach()
        for name, tensor in model.state_dict().items()
    }


def load_published(model: MaskedLM, state: dict[str, Tensor]) -> None:
    """Copy published weights into the model, exactly. Names and shapes must fit: see
    `export.read_pretrained`."""
    own = model.state_dict()
    with torch.no_grad():
        for name, tensor in own.items():
            if name == WORDS:
                tensor.zero_()
                tensor = tensor[: model.config.vocab_size]
            if state[name].shape != tensor.shape:
                raise ValueError(
                    f"{name}: shape {tuple(state[name].shape)}, the model has {tuple(tensor.shape)}"
                )
            tensor.copy_(state[name])


def count_parameters(config: ModelConfig) -> int:
    """Parameters as published: without the rows that round the vocabulary up."""
    H, D, L = config.hidden, config.intermediate, config.layers
    embeddings = (config.vocab_size + config.positions + config.pad_id + 1 + 1 + 2) * H
    layer = 4 * (H * H + H) + 2 * H * D + D + H + 4 * H
    return embeddings + L * layer + H * H + 3 * H + config.vocab_size


def flops_per_token(config: ModelConfig, length: int, rate: float) -> float:
    """Floating-point operations of a training step a token, forward and backward (a multiply-add
    counts two).

    6 * weights of the layers + 12 * layers * width * length (attention) + rate * 6 * (H * V + H *
    H) (the head, on the masked tokens only, counted as what is done).
    """
    H, L = config.hidden, config.layers
    layer = 4 * H * H + 2 * H * config.intermediate
    return 6.0 * L * layer + 12.0 * L * H * length + rate * 6.0 * (H * config.vocab_size + H * H)
