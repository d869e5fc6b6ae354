"""What a run looks like: its curves as a PNG, a training sample with its masks, and the tokens that
its model fills in."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tokenizers import Tokenizer

from shards.errors import UserError, in_command
from shards.manifest import shards_directory
from shards.roles import roles_of
from trainer import checkpoint
from trainer.config import Recipe
from trainer.data.gather import Masker
from trainer.data.order import make_order
from trainer.data.samples import open_training
from trainer.log import read_log
from trainer.masking.tokens import IGNORED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Line = dict[str, Any]

# --- curves


def curves(run: Path, out: Path) -> Path:
    """Draw loss, validation perplexity by source, learning rate and speed; return the PNG.

    Raises `UserError` when the run has no log, or matplotlib is not installed (exit 3).
    """
    lines = read_log(run)
    train = [line for line in lines if line["kind"] == "train"]
    valid = [line for line in lines if line["kind"] == "valid"]
    if not train:
        raise UserError(f"{run}: nothing is logged in it", "name the --run of trainer pretrain")
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        raise UserError(
            "trainer show draws with matplotlib, which is not installed",
            "pip install matplotlib",
            3,
        ) from None

    # One range of steps, so that the panels can be compared.
    figure, axes = plt.subplots(2, 2, figsize=(11, 7), layout="constrained", sharex=True)
    draw(axes[0, 0], train, "loss", "training loss, nats per masked token")
    draw_validation(axes[0, 1], valid)
    draw(axes[1, 0], train, "learning_rate", "learning rate")
    draw(axes[1, 1], train, "tokens_per_second", "tokens per second")
    for axis in axes.flat:
        axis.set_xlabel("step")
        axis.set_xlim(left=0)
        axis.xaxis.set_tick_params(labelbottom=True)
        axis.grid(alpha=0.3)
    for axis in axes[1]:
        axis.set_ylim(bottom=0)  # a small change must not look like a large one
    axes[1, 1].yaxis.set_major_formatter("{x:,.0f}")
    figure.suptitle(f"{run.resolve().name}, step {train[-1]['step']:,}")

    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
    plt.close(figure)
    return out


def draw(axis: "Axes", lines: list[Line], key: str, title: str) -> None:
    """Draw one key of the `train` lines by step."""
    marker = "o" if len(lines) == 1 else ""  # a line of one point would not be seen
    axis.plot([line["step"] for line in lines], values(lines, key), marker=marker, linewidth=1)
    axis.set_title(title)


def draw_validation(axis: "Axes", lines: list[Line]) -> None:
    """Draw the validation perplexity of each source with its 95 % interval, or of all together
    where there are none."""
    axis.set_title("validation perplexity")
    if not lines:
        axis.text(0.5, 0.5, "no validation yet", ha="center", transform=axis.transAxes)
        axis.set_yticks([])
        return

    sources = list(dict.fromkeys(line["source"] for line in lines))
    named = [source for source in sources if source != "all"]
    for source in named or sources:
        own = [line for line in lines if line["source"] == source]
        steps = [line["step"] for line in own]
        perplexities = values(own, "perplexity")
        shown = axis.plot(steps, perplexities, marker="o", markersize=3, linewidth=1, label=source)
        low, high = (values(own, f"perplexity_{end}") for end in ("low", "high"))
        axis.fill_between(steps, low, high, alpha=0.2, color=shown[0].get_color(), linewidth=0)
    show_plain_numbers(axis)
    axis.legend(title="with 95 % intervals")


def show_plain_numbers(axis: "Axes") -> None:
    """A logarithmic axis with a few ticks in plain numbers: 30, 50, 100 and not 3 x 10^1. The axis
    stays linear where it would have too few."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_yscale("log")
    low, high = axis.get_ylim()
    if high / low < 2:
        axis.set_yscale("linear")
        return

    # Fewer ticks where the range is wide.
    subdivisions = (1, 2, 5) if high / low > 30 else (1, 1.5, 2, 3, 4, 5, 7)
    axis.yaxis.set_major_locator(LogLocator(subs=subdivisions))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))


def values(lines: list[Line], key: str) -> list[float]:
    """The numbers of a key; nan where an older log lacks it, and for null, which the log writes for
    what is not finite."""
    found = [line.get(key) for line in lines]
    return [np.nan if value is None else value for value in found]


# --- a training sample


@dataclass(frozen=True, kw_only=True)
class ShownSample:
    """A training sample, by the keys of `--json`.

    `sample` is the place in the endless order, `index` the number within the epoch, `shard` the
    source and digest; `ids` as the model sees them; `masked` the places in `ids` and the true ids;
    `lengths` the tokens of each sequence, and `next` of each pair 0 where B follows A and 1 where
    it is random; `text` shows ids and masks, a sequence a line.
    """

    sample: int
    epoch: int
    index: int
    shard: str
    ids: list[int]
    masked: list[tuple[int, int]]
    lengths: list[int]
    next: list[int]
    text: str


def sample(directories: tuple[str, ...], recipe: Recipe, place: int) -> ShownSample:
    """The sample at `place` of the endless training order, with its masks.

    Raises `UserError` when there are no training shards or `place` is below 0.
    """
    data = open_training(directories, recipe.data)
    if not len(data):
        raise UserError(
            f"{', '.join(directories)}: no training shards", "run corpus build to make them"
        )
    if place < 0:
        raise UserError(f"--sample {place}: not a place in the order", "count from 0")

    masker = Masker(data, recipe.masking, recipe.seed)
    epochs, samples = make_order(data, recipe.seed, recipe.data.mix).samples(place, 1)
    buffers = masker.buffers(1)
    masker.fill(epochs, samples, buffers)

    masked = []
    for where, label in zip(buffers.places[0], buffers.labels[0], strict=True):
        if label != IGNORED:
            masked.append((int(where), int(label)))
    masked.sort()

    lengths = buffers.lengths[0][buffers.lengths[0] > 0].tolist()
    ids = buffers.ids[0, : sum(lengths)].tolist()
    starts = data.starts[epochs[0] % len(data.starts)]
    shard = int(np.searchsorted(starts, samples[0], side="right") - 1)
    path = f"{shards_directory(directories[0])}/tokenizer.json"
    return ShownSample(
        sample=place,
        epoch=int(epochs[0]),
        index=int(samples[0]),
        shard=data.identity[shard],
        ids=ids,
        masked=masked,
        lengths=lengths,
        next=buffers.next[0, : len(lengths)].tolist(),
        text="\n".join(sequence_texts(Tokenizer.from_file(path), ids, dict(masked), lengths)),
    )


def sequence_texts(
    tokenizer: Tokenizer, ids: list[int], truth: dict[int, int], lengths: list[int]
) -> list[str]:
    """Each sequence of a sample as text."""
    texts = []
    start = 0
    for length in lengths:
        end = start + length
        own = {place - start: true for place, true in truth.items() if start <= place < end}
        texts.append(sample_text(tokenizer, ids[start:end], own))
        start = end
    return texts


def sample_text(tokenizer: Tokenizer, ids: list[int], truth: dict[int, int]) -> str:
    """A sample as text; a masked token is shown as ` [what the model sees <- the true token]`.

    Tokens between masks are decoded together, since one character can be several tokens.
    """

    def decode(some: list[int]) -> str:
        text: str = tokenizer.decode(some, skip_special_tokens=False)
        return text

    parts = []
    between: list[int] = []
    for place, number in enumerate(ids):
        if place not in truth:
            between.append(number)
            continue
        parts.append(decode(between))
        parts.append(f" [{decode([number])} <- {decode([truth[place]])}]")
        between = []
    parts.append(decode(between))

    # The tokens of WordPiece have no spaces of their own; those inside a word are marked.
    if type(tokenizer.decoder).__name__ == "WordPiece":
        return " ".join(part.strip() for part in parts if part).replace(" ##", "")
    return "".join(parts)


# --- masks filled in


@dataclass(frozen=True)
class Guess:
    """A token that the model may fill in, and its probability."""

    token: str
    probability: float


@torch.no_grad()
def fill(run: Path, text: str, step: str = "", most: int = 5) -> list[list[Guess]]:
    """For each `<mask>` of `text` the `most` likely tokens, likeliest first, by the checkpoint of
    `step` or the newest whole one.

    Raises `UserError` when there is no checkpoint, no `<mask>`, or when the text is too long for
    the model.
    """
    path, state = checkpoint.choose(run, step)
    tokenizer = read_tokenizer(run)
    roles = roles_of(json.loads(tokenizer.to_str()))
    start, end, mask = roles["start"], roles["end"], roles["mask"]

    ids = [start, *tokenizer.encode(text, add_special_tokens=False).ids, end]
    places = [place for place, number in enumerate(ids) if number == mask]
    if not places:
        name = tokenizer.id_to_token(mask)
        raise UserError(
            f"--fill {text!r}: no {name} in it", f"trainer show RUN --fill 'The {name} is here.'"
        )
    positions = checkpoint.model_config(state).positions
    if len(ids) > positions:
        raise UserError(
            f"--fill: {len(ids)} tokens are more than the model's {positions}",
            "give a shorter text",
        )

    model = checkpoint.load_model(path, state).eval()
    logits = model.forward(torch.tensor([ids]), torch.tensor(places))
    best = torch.topk(torch.softmax(logits.float(), -1), most)

    found = []
    for row, shares in zip(best.indices.tolist(), best.values.tolist(), strict=True):
        pairs = zip(row, shares, strict=True)
        found.append([Guess(tokenizer.decode([number]), share) for number, share in pairs])
    return found


def read_tokenizer(run: Path) -> Tokenizer:
    """The run's tokenizer. Raises `UserError` (exit 1) when it cannot be read."""
    try:
        return Tokenizer.from_file(str(run / "tokenizer.json"))
    except Exception as error:  # the library raises plain Exception
        raise UserError(
            f"{run}/tokenizer.json: cannot be read: {error}",
            f"copy it from the shards: cp SHARDS/tokenizer.json {in_command(run)}",
            1,
        ) from None


def as_json(guesses: list[Guess]) -> list[dict[str, object]]:
    """The guesses for one mask as JSON types."""
    return [vars(guess) for guess in guesses]


def describe_guesses(masks: list[list[Guess]]) -> str:
    """One line per mask: its tokens with their probabilities in percent."""
    lines = []
    for guesses in masks:
        words = [
            f"{guess.token.strip() or repr(guess.token)} {guess.probability:.0%}"
            for guess in guesses
        ]
        lines.append(", ".join(words))
    return "\n".join(lines)
