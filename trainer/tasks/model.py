"""The model of a task: the encoder and the task's head, with weights by the published names."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from trainer.config import ModelConfig
from trainer.models.heads import MaskedHead, vocabulary_logits
from trainer.models.pretraining import EncoderModel, draw_weights, pick
from trainer.tasks.batches import TaskBatch
from trainer.tasks.heads import PooledHead, SpanHead

HeadKind = Literal["classes", "number", "choice", "span", "candidates"]


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """The head of a task: one of `classes` classes; a `number`, which is the output times `scale`;
    a `choice` among sequences; the `span` of an answer, with a classifier of answerable questions
    where `answerable`; or the likeliest of `candidates` for a mask."""

    kind: HeadKind
    classes: int = 1
    scale: float = 1.0
    answerable: bool = False
    dropout: float = 0.0


class TaskModel(EncoderModel):
    """An encoder with one head."""

    def __init__(self, config: ModelConfig, head: HeadConfig) -> None:
        super().__init__(config)
        H = config.hidden
        self.head = head
        # As in the classes of transformers: RoBERTa's head of classification drops out its input.
        drops_input = config.family == "roberta"

        self.classify: PooledHead | None = None
        self.choose: PooledHead | None = None
        self.answer: SpanHead | None = None
        self.answerable: PooledHead | None = None
        self.masked: MaskedHead | None = None
        if head.kind in ("classes", "number"):
            self.classify = PooledHead(H, head.classes, head.dropout, drops_input)
        elif head.kind == "choice":
            self.choose = PooledHead(H, 1, head.dropout, False)
        elif head.kind == "span":
            self.answer = SpanHead(H)
            if head.answerable:
                self.answerable = PooledHead(H, 1, head.dropout, drops_input)
        else:
            self.masked = MaskedHead(config)

    def hidden(self, batch: TaskBatch) -> Tensor:
        """The hidden states (R, T, H) of a micro-batch. A BERT's pairs have two token types."""
        out: Tensor = self.encoder(batch.ids, batch.lengths, True)
        return out

    def pooled(self, hidden: Tensor, batch: TaskBatch) -> Tensor:
        """The logits of each sequence from its first token: (Q, C) of classes, (Q, 1) of numbers
        and choices."""
        head = self.classify if self.classify is not None else self.choose
        assert head is not None  # asked for the heads that have one alone
        out: Tensor = head(pick(hidden, batch.firsts))
        return out

    def span_logits(self, hidden: Tensor, batch: TaskBatch) -> Tensor:
        """The logits (Q, W, 2) of each token of a sequence as the first and the last of the answer,
        W the tokens of the longest one; the lowest number beyond the end."""
        assert self.answer is not None
        logits: Tensor = self.answer(hidden).float().reshape(-1, 2)
        width = torch.arange(batch.ids.shape[1], device=logits.device)
        places = (batch.firsts[:, None] + width).clamp(max=len(logits) - 1)
        is_real = width < batch.sizes[:, None]
        found = logits[places.reshape(-1)].reshape(*places.shape, 2)
        return found.masked_fill(~is_real[:, :, None], torch.finfo(torch.float32).min)

    def answerable_logits(self, hidden: Tensor, batch: TaskBatch) -> Tensor:
        """The logits (Q,) of whether a window holds an answer."""
        assert self.answerable is not None
        out: Tensor = self.answerable(pick(hidden, batch.firsts))
        return out[:, 0]

    def vocabulary(self, hidden_MH: Tensor) -> Tensor:
        """The logits (M, V) of the vocabulary at M places."""
        assert self.masked is not None
        logits = vocabulary_logits(self.masked(hidden_MH), self.words, self.masked.bias)
        return logits[:, : self.config.vocab_size]

    def candidate_scores(self, hidden: Tensor, batch: TaskBatch) -> Tensor:
        """The mean log-probability (Q,) of each candidate's tokens at the masks, in fp32."""
        logits = self.vocabulary(pick(hidden, batch.places)).float()
        found: Tensor = torch.log_softmax(logits, -1).gather(1, batch.truth[:, None])[:, 0]

        # A product with ones, since adding by index is in no fixed order on a GPU.
        owner = torch.arange(len(batch.sizes), device=found.device)[:, None] == batch.owners
        return (owner * found).sum(1) / owner.sum(1).clamp(min=1)


def options_logits(logits_Q: Tensor, options: Tensor) -> Tensor:
    """The logits (N, K) of the options of each item; the lowest number beyond the last."""
    found = logits_Q.float()[options.clamp(min=0)]
    return found.masked_fill(options < 0, torch.finfo(torch.float32).min)


def build_task(config: ModelConfig, head: HeadConfig, seed: int) -> TaskModel:
    """A new model on the CPU in fp32, with first weights as in pretraining."""
    with torch.device("meta"):
        model = TaskModel(config, head)
    model = model.to_empty(device="cpu")
    draw_weights(model, config, seed)
    return model


def head_names(model: TaskModel) -> list[str]:
    """The names in our code of the weights that are not of the encoder."""
    return [name for name, _ in model.named_parameters() if not name.startswith("encoder.")]
