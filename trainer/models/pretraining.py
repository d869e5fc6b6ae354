"""The model that is pretrained: the encoder and the heads of its objectives, its first weights, and
its weights by their published names.

Shape letters: B rows, T tokens, S sequences in a row, M masked, H width, V vocabulary.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from trainer.chance import WEIGHTS, make_key
from trainer.config import ModelConfig
from trainer.models.encoder import Encoder
from trainer.models.heads import MaskedHead, NextSentenceHead, SpanHead, vocabulary_logits
from trainer.models.names import WORDS, published_name

# What the one product before attention computes, in this order of its rows.
PARTS = ("query", "key", "value")


class EncoderModel(nn.Module):
    """An encoder, under whatever heads; the base of the models for pretraining and for tasks."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)

        # fairseq has no token types: the row of a RoBERTa stays zero, or as imported. It is
        # exported but never trained.
        if config.family == "roberta":
            self.encoder.embeddings.token_type_embeddings.weight.requires_grad_(False)

    @property
    def words(self) -> Tensor:
        """The word embeddings (V rounded up, H)."""
        return self.encoder.embeddings.word_embeddings.weight


class PretrainingModel(EncoderModel):
    """An encoder with the head of the masked tokens, and those of the other objectives where the
    configuration has them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.masked = MaskedHead(config)
        self.next = NextSentenceHead(config) if config.next_head else None
        self.span = SpanHead(config) if config.span_head else None

    def forward(self, ids_BT: Tensor, places_M: Tensor, lengths_BS: Tensor | None = None) -> Tensor:
        """Logits (M, V rounded up) of the masked tokens at flat places of the batch; those of a
        place that is padding mean nothing.

        All tensors are int64; `lengths_BS` is as in `Encoder.forward`.
        """
        layout = self.encoder.lay_out(ids_BT, lengths_BS)
        hidden = self.encoder.line(ids_BT, layout)
        return self.masked_logits(hidden, layout.pack(places_M, ids_BT.shape[1]))

    def masked_logits(self, hidden: Tensor, places_M: Tensor) -> Tensor:
        """Logits (M, V rounded up) for the tokens at these places of `hidden`, (N, H), or (B, T, H)
        laid flat.

        Only the masked places are projected to the vocabulary, which saves a third of a training
        step at 15 %.
        """
        x = self.masked(pick(hidden, places_M))
        return vocabulary_logits(x, self.words, self.masked.bias)

    def next_logits(self, hidden: Tensor, first: Tensor) -> Tensor:
        """Logits (B * S, 2) of whether the second part of each sequence follows the first one;
        `first` (B * S,) is the place of its first token in `hidden`, as in `masked_logits`."""
        assert self.next is not None  # `run.resolve` gives the objective its head
        logits: Tensor = self.next(pick(hidden, first))
        return logits

    def span_logits(
        self, hidden: Tensor, left_M: Tensor, right_M: Tensor, offset_M: Tensor
    ) -> Tensor:
        """Logits (M, V rounded up) for tokens of spans: `left_M` and `right_M` are the places of
        the tokens beside the span, as in `masked_logits`, `offset_M` the position of the token in
        it, counted from 1."""
        assert self.span is not None  # `run.resolve` gives the objective its head
        x = self.span(pick(hidden, left_M), pick(hidden, right_M), offset_M)
        return vocabulary_logits(x, self.words, self.span.bias)


def pick(hidden: Tensor, places_M: Tensor) -> Tensor:
    """The hidden states (M, H) at places of `hidden`, (N, H), or (B, T, H) laid flat."""
    return hidden.reshape(-1, hidden.shape[-1]).index_select(0, places_M)


# --- weights


@torch.no_grad()
def build(config: ModelConfig, seed: int) -> PretrainingModel:
    """A new model on the CPU in fp32, see `draw_weights`."""
    with torch.device("meta"):
        model = PretrainingModel(config)
    model = model.to_empty(device="cpu")
    draw_weights(model, config, seed)
    return model


@torch.no_grad()
def draw_weights(model: EncoderModel, config: ModelConfig, seed: int) -> None:
    """Give every weight of a model its first value: matrices from a normal distribution with
    deviation 0.02 (as `config.init` says), biases and a RoBERTa's token type 0, LayerNorm 1.

    Each tensor comes from its own key, so the weights do not depend on the order of the draws.
    """
    for number, weight in enumerate(weights_of(model)):
        # torch takes seeds of 63 bits.
        generator = torch.Generator().manual_seed(int(make_key(seed, WEIGHTS, 0, number)) >> 1)
        # The rows that round the vocabulary up are drawn too, and made zero below: the draws of a
        # table depend on its size.
        values = weight.parameter if weight.name == WORDS else weight.of(weight.parameter)
        if weight.name.endswith("bias") or not weight.parameter.requires_grad:
            values.zero_()
        elif is_norm(weight.name):
            values.fill_(1.0)
        elif config.init == "truncated":
            nn.init.trunc_normal_(values, 0.0, 0.02, -0.04, 0.04, generator)
        else:
            values.normal_(0.0, 0.02, generator=generator)

    # The rows of padding and those that round the vocabulary up.
    embeddings = model.encoder.embeddings
    for table in (embeddings.word_embeddings, embeddings.position_embeddings):
        if table.padding_idx is not None:
            table.weight[table.padding_idx].zero_()
    model.words[config.vocab_size :].zero_()


def is_norm(name: str) -> bool:
    """Whether a weight is of a LayerNorm."""
    return "norm" in name.split(".")[-2]


class Weight(NamedTuple):
    """A weight by the name that the code would give it, and where it is: rows of a parameter."""

    name: str
    parameter: nn.Parameter
    rows: slice

    def of(self, tensor: Tensor) -> Tensor:
        """The part of `tensor` that belongs to this weight: of its parameter, or of the gradient or
        a moment of that; a view."""
        return tensor[self.rows]


def weights_of(model: EncoderModel) -> Iterator[Weight]:
    """The weights of a model in the order in which they are numbered, with query, key and value
    apart, and without the rows beyond the vocabulary."""
    named = dict(model.named_parameters())
    H = model.config.hidden
    for name, parameter in named.items():
        module, _, kind = name.rpartition(".")
        if not module.endswith(".qkv"):
            rows = slice(model.config.vocab_size) if name == WORDS else slice(None)
            yield Weight(name, parameter, rows)
        elif kind == "weight":
            # Each has its weight before its bias.
            for number, part in enumerate(PARTS):
                rows = slice(number * H, (number + 1) * H)
                own = f"{module.removesuffix('qkv')}{part}"
                yield Weight(f"{own}.weight", parameter, rows)
                yield Weight(f"{own}.bias", named[f"{module}.bias"], rows)


def published_weights(model: EncoderModel) -> Iterator[tuple[str, Weight]]:
    """The weights by their published names."""
    for weight in weights_of(model):
        yield published_name(weight.name, model.config), weight


def published_state(model: EncoderModel) -> dict[str, Tensor]:
    """The weights by their published names and shapes, without the rows beyond the vocabulary.

    The tensors are views, not copies.
    """
    return {name: weight.of(weight.parameter.detach()) for name, weight in published_weights(model)}


@torch.no_grad()
def load_published(model: EncoderModel, state: dict[str, Tensor]) -> None:
    """Copy published weights into the model, exactly.

    `state` must hold every weight (`weight_files.read_weights`). Raises `ValueError` for a shape
    that does not fit.
    """
    model.words.zero_()
    for name, tensor in published_state(model).items():
        if state[name].shape != tensor.shape:
            raise ValueError(
                f"{name}: shape {tuple(state[name].shape)}, the model has {tuple(tensor.shape)}"
            )
        tensor.copy_(state[name])
