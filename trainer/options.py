"""The options of each command, as frozen dataclasses: `trainer/flags.py` makes flags of the fields,
and their help of the docstrings."""

from dataclasses import dataclass
from typing import Literal

from trainer.config import Recipe
from trainer.flags import flag
from trainer.tasks.settings import Finetuning

Device = Literal["auto", "cpu", "cuda"]

Masks = Literal["exact", "fairseq"]

PLAN = "before a run"

DATA = "data and run"

SWEEP = "several runs"

OWN = "a task of your own"


@dataclass(frozen=True, kw_only=True)
class Pretrain:
    """Train on shards. Every setting of the recipe is also a flag, which overrides the recipe."""

    shards: tuple[str, ...] = flag((), "DIR", "data and run")
    """A home, or its shards/ folder; repeat the flag for several. With --resume, default: the
    shards of the run."""
    run: str = flag("", "RUN", "data and run")
    """Folder for the checkpoints and the log."""
    recipe: str = flag("", "NAME", "data and run")
    """Name of a recipe, or path of a .toml file. Default: roberta-base; with --resume, the recipe
    of the run."""
    resume: bool = flag(False, "", "data and run")
    """Continue from the newest whole checkpoint, or start at step 0 if there is none."""
    init: str = flag("", "DIR", "data and run")
    """Start from the weights of another run, of a Hugging Face directory, or of a hub id."""
    init_step: str = flag("", "N|best", "data and run", common=False)
    """With --init RUN: the checkpoint to start from. Default: the newest whole one."""
    mix: tuple[str, ...] = flag((), "NAME=X", "data and run", common=False)
    """NAME=2 shows the samples of source NAME twice as often; repeat the flag for several."""

    dry_run: bool = flag(False, "", PLAN)
    """Print what the run will need (epochs, memory, disk, time), and do not train."""
    tokens: int = flag(0, "N", PLAN)
    """With --dry-run: assume this many training tokens. Takes the place of --shards, so that a run
    can be planned before there is a corpus."""
    devices: int = flag(0, "N", PLAN, common=False)
    """With --dry-run: assume this many devices. Default: as many as torchrun started, or 1."""
    device_kind: str = flag("", "NAME", PLAN, common=False)
    """With --dry-run: assume devices of this kind, such as H200 or cpu. Default: the one here."""
    tokens_per_second: float = flag(0.0, "X", PLAN, common=False)
    """With --dry-run: assume this speed of all devices together. Default: 40 % of a GPU's peak."""
    json: bool = flag(False, "", PLAN)
    """With --dry-run: print one JSON object on stdout."""

    device: Device = flag("auto", "", "while training")
    """auto is CUDA if there is a GPU, otherwise the CPU."""
    track: tuple[Literal["tensorboard", "wandb"], ...] = flag(
        (), "", "while training", common=False
    )
    """Also log to this tracker; repeat the flag for both."""
    ranks_timeout: float = flag(10.0, "X", "while training", common=False)
    """On several ranks: end a rank that has waited this many minutes for the others, and say what
    it waited for. Default: 10."""
    settings: Recipe = Recipe()
    """The settings of the recipe."""


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Compute validation perplexity and masked accuracy by source. The masked samples are stored
    and their format is fixed, so the figures of different runs can be compared."""

    run: str = flag("", "RUN")
    """Folder of the run. Required."""
    shards: tuple[str, ...] = flag((), "DIR")
    """Shards with a validation split; repeat the flag for several. Default: those of the run."""
    step: str = flag("", "N|best")
    """Step of the checkpoint, or best: the one that --keep-best kept. Default: the newest whole
    one."""
    samples: int = flag(0, "N")
    """Use at most this many samples of each source. Default: the number used in training."""
    masks: Masks = flag("exact")
    """fairseq masks as fairseq does, special ids too, to compare with its papers: for runs that
    were trained with masking.style fairseq."""
    device: Device = flag("auto")
    """auto is CUDA if there is a GPU, otherwise the CPU."""
    json: bool = flag(False)
    """Print one JSON object on stdout."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a checkpoint as a Hugging Face directory, then read it back and compare."""

    run: str = flag("", "RUN")
    """Folder of the run. Required."""
    out: str = flag("", "DIR")
    """Folder to write to; it must be empty or not exist. Required."""
    step: str = flag("", "N|best")
    """Step of the checkpoint, or best: the one that --keep-best kept. Default: the newest whole
    one."""
    json: bool = flag(False)
    """Print one JSON object on stdout."""


@dataclass(frozen=True, kw_only=True)
class Show:
    """Draw the curves of a run as a PNG. With --sample: print a training sample with its masks.
    With --fill: print what the model fills in."""

    run: str = flag("", "RUN", "arguments", positional=True)
    """Folder of the run."""
    out: str = flag("", "FILE")
    """Path of the PNG. Default: RUN/curves.png."""
    fill: str = flag("", "TEXT")
    """Print the likeliest tokens for each <mask> in this text."""
    step: str = flag("", "N|best")
    """With --fill: the checkpoint. Default: the newest whole one."""
    sample: int | None = flag(None, "N")
    """Print this sample of the endless training order, counted from 0, with its masks."""
    shards: tuple[str, ...] = flag((), "DIR")
    """With --sample: the shards; repeat the flag for several. Default: those of the run."""
    recipe: str = flag("", "NAME")
    """With --sample: the recipe. Default: that of the run."""
    json: bool = flag(False)
    """Print one JSON object on stdout."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Tell at which steps a run was trained on a document: computed from the order of its samples,
    which no log keeps."""

    run: str = flag("", "RUN", "arguments", positional=True)
    """Folder of the run."""
    ids: tuple[str, ...] = flag((), "ID", "arguments", positional=True)
    """The ids of documents, as corpus show and the shards have them."""
    until: str = flag("", "N|end")
    """The last step to look at; end is the last one that the recipe plans. Default: the step of the
    newest checkpoint."""
    shards: tuple[str, ...] = flag((), "DIR")
    """The shards of the run, where they are now; repeat the flag for several."""
    json: bool = flag(False)
    """Print one JSON object on stdout."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """Tell which documents a step of a run is trained on, with their sources and addresses. The
    step may lie ahead."""

    run: str = flag("", "RUN", "arguments", positional=True)
    """Folder of the run."""
    step: str = flag("", "N", "arguments", positional=True)
    """The step, counted from 1."""
    shards: tuple[str, ...] = flag((), "DIR")
    """The shards of the run, where they are now; repeat the flag for several."""
    json: bool = flag(False)
    """Print one JSON object on stdout."""


@dataclass(frozen=True, kw_only=True)
class Compare:
    """Train the rows of a table of the RoBERTa paper at a small scale, and print them beside the
    paper's figures. Run the same command again to resume."""

    table: str = flag("", "TABLE", "arguments", positional=True)
    """1: static and dynamic masks. 2: input formats. 3: batch sizes. 4: data and steps."""
    shards: tuple[str, ...] = flag((), "DIR")
    """A home, or its shards/ folder, with a validation split; repeat the flag for several."""
    scale: Literal["tiny", "small"] = flag("tiny")
    """tiny: 2 layers of 128, minutes a run on a CPU. small: 6 layers of 512, for a GPU."""
    seeds: int = flag(3, "N")
    """Runs of each row. Default: 3"""
    out: str = flag("", "DIR")
    """Folder for the runs, the tables and their pictures. Default: compare-SCALE. Tables that share
    a recipe share its runs there."""
    base: tuple[str, ...] = flag((), "NAME")
    """With table 4: a source that stands for books and Wikipedia, on which alone the rows of 13 and
    16 GB train; repeat the flag for several. Default: all sources."""
    tasks: str = flag("", "DIR")
    """The folder of the official files of tasks: every run is fine-tuned on those of the table that
    are there (MNLI, SST-2, SQuAD, RACE), and the table has a column for each."""
    device: Device = flag("auto")
    """auto is CUDA if there is a GPU, otherwise the CPU."""
    json: bool = flag(False)
    """Print one JSON object on stdout."""


@dataclass(frozen=True, kw_only=True)
class Finetune:
    """Fine-tune a pretrained model on a task. The settings begin as the RoBERTa paper's for the
    task (table 10); each of them is also a flag."""

    task: str = flag("", "TASK", DATA)
    """A task of GLUE (such as sst2), squad1, squad2, race, wsc, or own. Required. The tasks of GLUE
    are cola, sst2, mrpc, stsb, qqp, mnli, qnli, rte and wnli; there are race-middle and race-high
    too. glue runs all tasks of GLUE, squad both, each with its table."""
    data: str = flag("", "DIR", DATA)
    """The folder of the official files. Required, unless --train and --dev are given."""
    train: str = flag("", "FILE", DATA)
    """The file to train on, whatever its name. Default: the one in --data."""
    dev: str = flag("", "FILE", DATA)
    """The file to evaluate on. Default: the one in --data."""
    init: str = flag("", "RUN|DIR", DATA)
    """Start from the weights of a run, of a Hugging Face directory, or of a hub id. The run may be
    one of pretrain or of finetune; a head of another task is replaced. Required for a new run."""
    init_step: str = flag("", "N|best", DATA, common=False)
    """With --init RUN: the checkpoint to start from. Default: the newest whole one; of a
    fine-tuning run the best one."""
    new_weights: bool = flag(False, "", DATA, common=False)
    """Take only the shape and the tokenizer of --init, and start from random weights."""
    run: str = flag("", "RUN", DATA)
    """Folder for the checkpoints, the log and the result. Required."""
    resume: bool = flag(False, "", DATA)
    """Continue from the newest whole checkpoint. Start at step 0 if there is none."""
    recipe: str = flag("", "FILE", DATA, common=False)
    """Begin from the settings in a TOML file, as RUN/finetuning.toml is one."""

    sweep: bool = flag(False, "", SWEEP)
    """Train all batches, rates and seeds of the paper's grid, and tell the best median. The batches
    are 16 and 32, the rates 1e-5, 2e-5 and 3e-5. Run the same command again to resume."""
    seeds: int = flag(5, "N", SWEEP)
    """Seeds of each setting of a sweep, of glue and of squad. Default: 5"""

    text_column: str = flag("text", "NAME", OWN)
    """The column or key of the text. Default: text"""
    pair_column: str = flag("", "NAME", OWN, common=False)
    """The column or key of the second text of a pair. Default: none"""
    label_column: str = flag("label", "NAME", OWN)
    """The column or key of the label. Default: label"""
    id_column: str = flag("", "NAME", OWN, common=False)
    """The column or key of the id. Default: rows are numbered from 0."""
    numbers: bool = flag(False, "", OWN)
    """The labels are numbers to be predicted."""

    device: Device = flag("auto", "", "while training")
    """auto is CUDA if there is a GPU, otherwise the CPU."""
    track: tuple[Literal["tensorboard", "wandb"], ...] = flag(
        (), "", "while training", common=False
    )
    """Also log to this tracker; repeat the flag for both."""
    ranks_timeout: float = flag(10.0, "X", "while training", common=False)
    """On several ranks: end a rank that has waited this many minutes for the others, and say what
    it waited for. Default: 10."""
    json: bool = flag(False, "", "while training", common=False)
    """Print the result as one JSON object on stdout."""
    settings: Finetuning = Finetuning()
    """The settings of the run."""


@dataclass(frozen=True, kw_only=True)
class Predict:
    """Predict the examples of a file with a fine-tuned model. trainer score and trainer submit read
    what it writes."""

    run: str = flag("", "RUN")
    """Folder of the fine-tuning run. Required."""
    data: str = flag("", "PATH")
    """The file, or the folder of the official files. Required."""
    split: str = flag("test", "NAME")
    """The split to read where --data is a folder: train, dev or test. Default: test"""
    out: str = flag("", "FILE")
    """The file to write. By its ending: .json an object from ids to predictions, .jsonl objects
    with id and prediction, .tsv the columns index and prediction. Required."""
    step: str = flag("", "N|best")
    """Step of the checkpoint. Default: the best one."""
    threshold: float = flag(0.0, "X")
    """SQuAD 2.0: the answer is empty where no answer is more likely by this much. Default: 0"""
    device: Device = flag("auto")
    """auto is CUDA if there is a GPU, otherwise the CPU."""
    text_column: str = flag("", "NAME", OWN)
    """The column or key of the text. Default: that of the training file"""
    pair_column: str = flag("", "NAME", OWN)
    """The column or key of the second text of a pair. Default: that of the training file"""
    label_column: str = flag("", "NAME", OWN)
    """The column or key of the label, where there is one. Default: that of the training file"""
    id_column: str = flag("", "NAME", OWN)
    """The column or key of the id. Default: that of the training file"""
    json: bool = flag(False)
    """Print one JSON object on stdout."""


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """Predict the examples of a file with several fine-tuned models of one task, and average what
    they say: probabilities of labels and of answers, and numbers."""

    runs: tuple[str, ...] = flag((), "RUN", "arguments", positional=True)
    """Folders of the fine-tuning runs."""
    data: str = flag("", "PATH")
    """The file, or the folder of the official files. Required."""
    split: str = flag("test", "NAME")
    """The split to read where --data is a folder: train, dev or test. Default: test"""
    out: str = flag("", "FILE")
    """The file to write. By its ending: .json an object from ids to predictions, .jsonl objects
    with id and prediction, .tsv the columns index and prediction. Required."""
    threshold: float = flag(0.0, "X")
    """SQuAD 2.0: the answer is empty where no answer is more likely by this much. Default: 0"""
    device: Device = flag("auto")
    """auto is CUDA if there is a GPU, otherwise the CPU."""
    text_column: str = flag("", "NAME", OWN)
    """The column or key of the text. Default: that of the training file"""
    pair_column: str = flag("", "NAME", OWN)
    """The column or key of the second text of a pair. Default: that of the training file"""
    label_column: str = flag("", "NAME", OWN)
    """The column or key of the label, where there is one. Default: that of the training file"""
    id_column: str = flag("", "NAME", OWN)
    """The column or key of the id. Default: that of the training file"""
    json: bool = flag(False)
    """Print one JSON object on stdout."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Score a file of predictions, of any system, as the official scorer of the task does."""

    task: str = flag("", "TASK")
    """squad1, squad2, race, race-middle, race-high, wsc, a task of GLUE (cola, sst2, mrpc, stsb,
    qqp, mnli, mnli-mm, qnli, rte, wnli, ax), or own. Required."""
    data: str = flag("", "FILE")
    """The official file with the right labels, or a folder of them. Required."""
    predictions: str = flag("", "FILE")
    """The predictions: .json or .jsonl with ids, .tsv with the columns index and prediction, or one
    a line in the order of the data. Required."""
    split: str = flag("dev", "NAME")
    """The split to read where --data is a folder. Default: dev"""
    na_prob: str = flag("", "FILE")
    """With squad2: a JSON object from each id to how sure the system is that there is no answer.
    Adds the best threshold and its scores."""
    na_threshold: float = flag(1.0, "X")
    """With --na-prob: above this number a prediction counts as "no answer". Default: 1, as in the
    official scorer."""
    label_column: str = flag("label", "NAME", "a task of your own")
    """The column or key of the label in --data."""
    id_column: str = flag("", "NAME", "a task of your own")
    """The column or key of the id. Default: rows are numbered from 0."""
    numbers: bool = flag(False, "", "a task of your own")
    """The labels are numbers, to be scored by correlation."""
    json: bool = flag(False)
    """Print one JSON object on stdout."""


@dataclass(frozen=True, kw_only=True)
class Submit:
    """Write the file that a leaderboard takes: the zip of the GLUE server, or SQuAD's JSON. The
    labels, the rows and their order are checked first."""

    task: str = flag("glue", "TASK")
    """glue, squad1 or squad2. Default: glue"""
    predictions: str = flag("", "PATH")
    """glue: a folder with a file of predictions for each task, named by the task (SST-2.tsv or
    sst2.json). SQuAD: the JSON file. Required."""
    data: str = flag("", "PATH")
    """glue: the folder of the official files, by which rows are counted; needed by
    --fill-missing. SQuAD: the official file with the questions, required."""
    out: str = flag("", "FILE")
    """The file to write. Required."""
    fill_missing: bool = flag(False)
    """glue: give each task that has no predictions the most frequent label of its training file
    (STS-B: the mean score). Without it a missing task is an error."""
    na_prob: str = flag("", "FILE")
    """squad2: a JSON object from each id to how sure the system is that there is no answer."""
    na_threshold: float = flag(1.0, "X")
    """With --na-prob: above this number the answer is written as empty. Default: 1"""
    json: bool = flag(False)
    """Print one JSON object on stdout."""


@dataclass(frozen=True, kw_only=True)
class Recipes:
    """List the built-in recipes by table and where their numbers come from, or print one as
    TOML."""

    name: str = flag("", "NAME", "arguments", positional=True)
    """Print this recipe, with every default written out."""
    json: bool = flag(False)
    """Print the list as one JSON object on stdout."""
