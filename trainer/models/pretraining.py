"""The model that is pretrained: the encoder and the heads of its objectives, its first weights, and
its weights by their published names.

Shape letters: B rows, T tokens, S sequences in a row, M masked, H width, V vocabulary.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from trainer.chance import WEIGHTS, make_key
from trainer.config import ModelConfig
from trainer.models.encoder import Encoder
from trainer.models.heads import MaskedHead, NextSentenceHead, SpanHead, vocabulary_logits
from trainer.models.layout import first_places
from trainer.models.names import WORDS, published_name


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
        """Logits (M, V rounded up) of the masked tokens at flat places of the batch.

        All tensors are int64; `lengths_BS` is as in `Encoder.forward`.
        """
        return self.masked_logits(self.encoder(ids_BT, lengths_BS), places_M)

    def masked_logits(self, hidden: Tensor, places_M: Tensor) -> Tensor:
        """Logits (M, V rounded up) for the tokens at flat places of `hidden` (B, T, H).

        Only the masked places are projected to the vocabulary, which saves a third of a training
        step at 15 %.
        """
        x = self.masked(pick(hidden, places_M))
        return vocabulary_logits(x, self.words, self.masked.bias)

    def next_logits(self, hidden: Tensor, lengths_BS: Tensor) -> Tensor:
        """Logits (B * S, 2) of whether the second part of each sequence follows the first one."""
        assert self.next is not None  # `run.resolve` gives the objective its head
        first = first_places(lengths_BS, hidden.shape[1])
        logits: Tensor = self.next(pick(hidden, first))
        return logits

    def span_logits(
        self, hidden: Tensor, left_M: Tensor, right_M: Tensor, offset_M: Tensor
    ) -> Tensor:
        """Logits (M, V rounded up) for tokens of spans: `left_M` and `right_M` are the flat places
        beside the span, `offset_M` the position of the token in it, counted from 1."""
        assert self.span is not None  # `run.resolve` gives the objective its head
        x = self.span(pick(hidden, left_M), pick(hidden, right_M), offset_M)
        return vocabulary_logits(x, self.words, self.span.bias)


def pick(hidden: Tensor, places_M: Tensor) -> Tensor:
    """The hidden states (M, H) at flat places of `hidden` (B, T, H)."""
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
    for number, (name, parameter) in enumerate(model.named_parameters()):
        # torch takes seeds of 63 bits.
        generator = torch.Generator().manual_seed(int(make_key(seed, WEIGHTS, 0, number)) >> 1)
        if name.endswith("bias") or not parameter.requires_grad:
            parameter.zero_()
        elif is_norm(name):
            parameter.fill_(1.0)
        elif config.init == "truncated":
            nn.init.trunc_normal_(parameter, 0.0, 0.02, -0.04, 0.04, generator)
        else:
            parameter.normal_(0.0, 0.02, generator=generator)

    # The rows of padding and those that round the vocabulary up.
    embeddings = model.encoder.embeddings
    for table in (embeddings.word_embeddings, embeddings.position_embeddings):
        if table.padding_idx is not None:
            table.weight[table.padding_idx].zero_()
    model.words[config.vocab_size :].zero_()


def is_norm(name: str) -> bool:
    """Whether a weight is of a LayerNorm."""
    return "norm" in name.split(".")[-2]


def published_parameters(model: EncoderModel) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters by their published names."""
    for name, parameter in model.named_parameters():
        yield published_name(name, model.config), parameter


def without_padding(name: str, tensor: Tensor, config: ModelConfig) -> Tensor:
    """A view of the tensor of the weight that is published as `name`, or of a moment of it, without
    the rows beyond the vocabulary."""
    if name == published_name(WORDS, config):
        return tensor[: config.vocab_size]
    return tensor


def published_state(model: EncoderModel) -> dict[str, Tensor]:
    """The weights by their published names and shapes, without the rows beyond the vocabulary.

    The tensors are views, not copies.
    """
    state = {}
    for name, parameter in published_parameters(model):
        state[name] = without_padding(name, parameter.detach(), model.config)
    return state


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
