"""`trainer seen` and `trainer step` against a search of every sample of a run.

In these shards every token has an id of its own, so the ids of a sample tell which token of which
document stands where.
"""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trainer_twins as twins
from hypothesis import given, settings
from hypothesis import strategies as st
from trainer_fixtures import small_tokenizer, write_shards
from trainer_runs import MINI

from shards.config import dump_toml
from shards.errors import UserError
from trainer.chance import permute, positions_in, sides, unpermute
from trainer.cli import main
from trainer.config import MaskingConfig, Recipe, load_recipe
from trainer.data.gather import Masker
from trainer.data.inverse import places_of
from trainer.data.order import Order, make_order
from trainer.data.samples import Data, open_training
from trainer.history import History, read_history
from trainer.masking.tokens import IGNORED
from trainer.run_info import RunInfo
from trainer.seen import seen, step_documents

FIRST_ID = 400  # of the ids that are tokens of documents

BATCH = 8


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources of three training shards, 31 documents, in which no token occurs twice."""
    generator = np.random.Generator(np.random.PCG64(5))
    used = FIRST_ID

    def make(count: int) -> list[list[np.ndarray]]:
        nonlocal used
        documents = []
        for _ in range(count):
            sentences = []
            for size in generator.integers(1, 25, generator.integers(1, 9)).tolist():
                sentences.append(np.arange(used, used + size))
                used += size
            documents.append(sentences)
        documents.append([np.arange(used, used + 70)])  # one sentence, longer than a sample
        used += 70
        return documents

    groups = {
        ("train", "news"): [make(9), make(6)],
        ("train", "books"): [make(12)],
        ("valid", "news"): [make(2)],
    }
    tokenizer = small_tokenizer(300)
    tokenizer.add_tokens([f"token{number}" for number in range(used - 300)])
    return write_shards(tmp_path_factory.mktemp("unique") / "shards", tokenizer, groups)


def recipe_of(**changes: Any) -> Recipe:
    """A recipe of 40 steps of 8 samples of 32 tokens."""
    base = load_recipe(MINI[1])
    data = dataclasses.replace(base.data, **changes.pop("data", {}))
    masking = dataclasses.replace(base.masking, **changes.pop("masking", {}))
    changed = {"steps": 40, "batch": BATCH, "seed": 7, "data": data, "masking": masking}
    return dataclasses.replace(base, **{**changed, **changes})


def write_run(
    run: Path, shards: Path, recipe: Recipe, log: list[dict[str, int | str]], step: int
) -> Path:
    """The folder of a run as `seen` reads it, without any training."""
    (run / "checkpoints" / f"step-{step:08d}").mkdir(parents=True)
    (run / "recipe.toml").write_text(dump_toml(recipe))
    identity = list(open_training((str(shards),), recipe.data).identity)
    info = RunInfo(shards=[str(shards)], sources={}, data="", identity=identity)
    (run / "run.json").write_bytes(info.to_bytes())
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    return run


Token = tuple[str, int, str, int, int, int, int, int, bool, bool]
"""Id of the document, number of the token in it, source; sample, epoch, step, rank, row; whether
the token is masked and whether the batch was skipped."""


def documents_of(data: Data) -> dict[int, tuple[str, int, str]]:
    """For each id of a token its document, its number in that, and the source."""
    found = {}
    for member in data.keep:
        shard = member.shard  # type: ignore[attr-defined]
        for number, id in enumerate(shard.ids.to_pylist()):
            for place, token in enumerate(shard.document(number).tolist()):
                found[token] = (id, place, shard.entry.source)
    return found


def search(
    shards: Path, recipe: Recipe, stages: list[tuple[int, int, int]], history: History
) -> list[Token]:
    """Every token of every sample of a run, by reading them all; `stages` are batches [first, end)
    with the length of their samples."""
    found: list[Token] = []
    for first, end, length in stages:
        config = dataclasses.replace(recipe.data, length=length)
        data = open_training((str(shards),), config)
        order = make_order(data, recipe.seed, recipe.data.mix)
        known = documents_of(data)
        plain = Masker(data, MaskingConfig(rate=0.0), recipe.seed)
        masker = Masker(data, recipe.masking, recipe.seed)

        for batch in range(first, end):
            epochs, samples = order.samples(batch * BATCH, BATCH)
            whole, masked = plain.buffers(BATCH), masker.buffers(BATCH)
            plain.fill(epochs, samples, whole)
            masker.fill(epochs, samples, masked)
            skipped = [number for _, number in history.skips]
            step = batch + 1 - sum(number < batch for number in skipped)
            share = BATCH // (4 if step > 20 else 2)

            for row in range(BATCH):
                at = masked.places[row][masked.labels[row] != IGNORED] - row * length
                for place, token in enumerate(whole.ids[row].tolist()):
                    if token < FIRST_ID:
                        continue
                    found.append(
                        (
                            *known[token],
                            batch * BATCH + row,
                            int(epochs[row]),
                            step,
                            row // share,
                            row,
                            place in at.tolist(),
                            batch in skipped,
                        )
                    )
    return found


LOG: list[dict[str, int | str]] = [
    {"kind": "start", "step": 0, "devices": 2},
    {"kind": "skip", "step": 3, "batch": 3},
    {"kind": "skip", "step": 3, "batch": 4},
    {"kind": "skip", "step": 20, "batch": 22},
    {"kind": "start", "step": 20, "devices": 4},
    {"kind": "skip", "step": 20, "batch": 22},
    {"kind": "train", "step": 30},
]
"""Three batches were skipped, the last one again after a resume on four ranks."""

CASES = {
    "full-sentences": recipe_of(),
    "without sentence ends": recipe_of(data={"sentence_eos": False}),
    "doc-sentences": recipe_of(data={"format": "doc-sentences"}),
    "segment-pair": recipe_of(data={"format": "segment-pair"}),
    "sentence-pair, static": recipe_of(
        data={"format": "sentence-pair"}, masking={"static": 10}, steps=90
    ),
    "mixed": recipe_of(data={"mix": {"news": 3.0}}),
    "mixed pairs": recipe_of(data={"format": "segment-pair", "mix": {"books": 0.5}}),
    "mixed, static": recipe_of(
        data={"format": "doc-sentences", "mix": {"news": 3.0}}, masking={"static": 4}
    ),
    "fairseq's masks": recipe_of(masking={"style": "fairseq"}),
    "bernoulli": recipe_of(masking={"style": "bernoulli"}),
    "words": recipe_of(masking={"unit": "word"}),
    "spans": recipe_of(masking={"unit": "span"}),
}


@pytest.mark.parametrize("name", CASES)
def test_seen_and_step_equal_a_search_of_the_whole_run(
    shards: Path, tmp_path: Path, name: str
) -> None:
    recipe = CASES[name]
    run = write_run(tmp_path / "run", shards, recipe, LOG, 30)
    history = read_history(run, "end")
    assert history.skips == ((3, 3), (3, 4), (20, 22))
    wanted = search(shards, recipe, [(0, recipe.steps + 3, 32)], history)

    ids = tuple(sorted({token[0] for token in wanted}))
    assert len(ids) == 30  # each of the training documents
    found: list[Token] = []
    for document in seen(run, (str(shards),), history, ids):
        for one in document.occurrences:
            for token in range(one.first, one.first + one.tokens):
                place = (one.sample, one.epoch, one.step, one.rank, one.row)
                masked = token in one.masked
                found.append((document.id, token, document.source, *place, masked, one.skipped))
    assert sorted(found) == sorted(wanted)

    for step in (1, 3, 4, 5, 21, 22, recipe.steps):
        found = []
        for stretch in step_documents(run, (str(shards),), history, step):
            for token in range(stretch.first, stretch.first + stretch.tokens):
                place = (stretch.sample, stretch.epoch, step, stretch.rank, stretch.row)
                masked = token in stretch.masked
                found.append((stretch.id, token, stretch.source, *place, masked, False))
        own = [token for token in wanted if token[5] == step and not token[-1]]
        assert sorted(found) == sorted(own) and len(own) > 0


def test_two_phases_have_samples_of_their_own_length(shards: Path, tmp_path: Path) -> None:
    recipe = recipe_of()
    phase = dataclasses.replace(recipe.phase, length=16, share=0.5)
    recipe = dataclasses.replace(recipe, phase=phase)
    run = write_run(tmp_path / "run", shards, recipe, LOG, 30)
    history = read_history(run, "end")

    # The batch that was skipped after step 20 belongs to the second phase.
    wanted = search(shards, recipe, [(0, 22, 16), (22, 43, 32)], history)
    found = []
    for document in seen(run, (str(shards),), history, tuple({token[0] for token in wanted})):
        for one in document.occurrences:
            for token in range(one.first, one.first + one.tokens):
                found.append((document.id, token, one.sample, one.step, token in one.masked))
    assert sorted(found) == sorted((t[0], t[1], t[3], t[5], t[8]) for t in wanted)


def test_only_steps_up_to_the_newest_checkpoint_count(shards: Path, tmp_path: Path) -> None:
    recipe = recipe_of()
    run = write_run(tmp_path / "run", shards, recipe, LOG, 30)
    assert read_history(run).until == 30
    id = next(iter(documents_of(open_training((str(shards),), recipe.data)).values()))[0]

    every = seen(run, (str(shards),), read_history(run, "end"), (id,))[0].occurrences
    some = seen(run, (str(shards),), read_history(run), (id,))[0].occurrences
    early = seen(run, (str(shards),), read_history(run, "7"), (id,))[0].occurrences
    assert [one.sample for one in some] == [one.sample for one in every if one.step <= 30]
    assert [one.sample for one in early] == [one.sample for one in every if one.step <= 7]


def test_a_log_without_its_skipped_batches_is_refused(shards: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", shards, recipe_of(), LOG[:1], 30)
    state = run / "checkpoints" / "step-00000030" / "state.json"
    state.write_text(json.dumps({"step": 30, "skipped": 3}))
    with pytest.raises(UserError, match="3 batches were skipped, and its log names 0"):
        read_history(run)

    write_run(tmp_path / "whole", shards, recipe_of(), LOG, 30)
    (tmp_path / "whole/checkpoints/step-00000030/state.json").write_text(state.read_text())
    assert read_history(tmp_path / "whole").skips == ((3, 3), (3, 4), (20, 22))


# --- the order undone


@given(st.integers(1, 3000), st.integers(0, 2**63 - 1))
@settings(max_examples=40, deadline=None)
def test_unpermute_undoes_permute(n: int, key: int) -> None:
    a, b = sides(n)
    images = [int(permute(x, n, a, b, np.uint64(key))) for x in range(n)]
    assert [int(unpermute(y, n, a, b, np.uint64(key))) for y in images] == list(range(n))


@given(st.integers(10_000, 2**40), st.integers(0, 2**63 - 1), st.integers(0, 99), st.data())
@settings(max_examples=40, deadline=None)
def test_positions_equal_the_twin(n: int, seed: int, epoch: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, n - 1))
    _, sample = twins.order(epoch * n + place, n, seed, 2)
    assert positions_in(np.array([sample]), n, seed, epoch, 2).tolist() == [place]


@pytest.mark.parametrize("counts", [(), (3000, 1096)], ids=["plain", "mixed"])
def test_a_billion_samples_are_searched_in_a_tenth_of_a_second(counts: tuple[int, ...]) -> None:
    billion = 10**9
    plans = tuple((0, billion - plan) for plan in range(10))
    more = tuple((size, size + 10**8) for _, size in plans)
    order = Order(3, (plans, more), counts)
    samples = np.arange(123_456_789, 123_456_989)
    end = 25 * billion
    places_of(order, 4, samples[:1], 0, end)  # compiled

    start = time.process_time()
    found = places_of(order, 4, samples, 0, end)
    assert time.process_time() - start < 0.1

    assert len(found.place) >= 2 * len(samples)
    epochs, drawn = np.array([], np.int64), np.array([], np.int64)
    for place in found.place[:20].tolist():
        epoch, sample = order.samples(place, 1)
        epochs, drawn = np.append(epochs, epoch), np.append(drawn, sample)
    assert drawn.tolist() == found.sample[:20].tolist()
    assert epochs.tolist() == found.epoch[:20].tolist()


# --- the commands


def test_the_commands_on_a_run(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    arguments = ["pretrain", "--shards", str(small), "--run", str(run), "--steps", "6", *MINI]
    assert main(arguments) == 0
    capsys.readouterr()

    assert main(["step", str(run), "6", "--json"]) == 0
    documents = json.loads(capsys.readouterr().out)["documents"]
    assert {one["row"] for one in documents} == set(range(32))
    id = documents[0]["id"]

    assert main(["seen", str(run), id, "--json"]) == 0
    (document,) = json.loads(capsys.readouterr().out)["documents"]
    assert document["until"] == 6
    last = [one for one in document["occurrences"] if one["step"] == 6]
    assert documents[0]["masked"] in [one["masked"] for one in last]

    assert main(["seen", str(run), id]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].startswith(f"{id}: ") and "last at step 6" in out
    assert main(["step", str(run), "6"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("step 6, batch 5: 32 rows of ")


def test_what_cannot_be_answered_is_one_line(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(write_run(tmp_path / "run", shards, recipe_of(), LOG, 30))

    def said(*arguments: str) -> str:
        code = main(list(arguments))
        assert code == 2
        return capsys.readouterr().err.splitlines()[0]

    assert said("seen") == "error: RUN: missing"
    assert said("seen", run) == "error: ID: missing"
    assert said("seen", run, "a" * 32).endswith("no document of the shards has this id")
    assert said("seen", run, "x", "--until", "41").startswith("error: --until: '41' is no step")
    assert said("step", run, "0").startswith("error: N: '0' is no step of the run, which has 40")
    assert said("step", str(tmp_path), "1").startswith(f"error: {tmp_path}: no run in it")


def test_validation_documents_and_other_shards(
    shards: Path, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shards as package

    run = str(write_run(tmp_path / "run", shards, recipe_of(), LOG, 30))
    id = package.open(str(shards), "valid")[0].ids[0].as_py()
    assert main(["seen", run, id]) == 0
    assert "a validation document: no step is trained on it" in capsys.readouterr().out

    assert main(["step", run, "1", "--shards", str(small)]) == 2
    assert "not the shards that" in capsys.readouterr().err
