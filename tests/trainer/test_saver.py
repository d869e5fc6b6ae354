"""Checkpoints in the background: the bytes of a plain save, of the moment of the save; what fails
is said at the next one."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from shards.errors import UserError
from trainer import checkpoint
from trainer.checkpoint import FILES, State
from trainer.config import ModelConfig, OptimConfig, Recipe
from trainer.models.pretraining import PretrainingModel, build
from trainer.optim import make_adamw
from trainer.saver import Saver
from trainer.tensor_file import write_tensors

SHAPE = ModelConfig(layers=2, hidden=32, intermediate=64, heads=2, positions=16, vocab_size=99)

names = st.text("abc.é_", min_size=1, max_size=6)

shapes = st.lists(st.integers(0, 4), max_size=3)

dtypes = st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16])


@given(st.dictionaries(names, st.tuples(shapes, dtypes), max_size=6))
def test_files_have_the_bytes_of_the_library(
    tmp_path_factory: pytest.TempPathFactory, wanted: dict[str, tuple[list[int], torch.dtype]]
) -> None:
    folder = tmp_path_factory.mktemp("files")
    tensors = {name: torch.randn(shape).to(dtype) for name, (shape, dtype) in wanted.items()}
    found = write_tensors(folder / "own", tensors)
    safetensors.torch.save_file(tensors, folder / "library", {"format": "pt"})
    data = (folder / "own").read_bytes()
    assert data == (folder / "library").read_bytes()
    assert found["bytes"] == len(data)


def trained() -> tuple[PretrainingModel, torch.optim.AdamW]:
    model = build(SHAPE, 0)
    optimizer = make_adamw(model, OptimConfig())
    step(model, optimizer)
    return model, optimizer


def step(model: PretrainingModel, optimizer: torch.optim.AdamW) -> None:
    model(torch.full((2, 9), 7), torch.arange(5)).sum().backward()
    optimizer.step()


def state(number: int) -> State:
    return State(step=number, recipe={}, model={})


def test_the_background_writes_what_a_plain_save_writes(tmp_path: Path) -> None:
    model, optimizer = trained()
    saver = Saver(tmp_path / "thread", Recipe())
    for number in (1, 2):
        checkpoint.save(tmp_path / "plain", model, optimizer, state(number), 3)
        saver.save(model, optimizer, state(number))
        # Training goes on while the thread writes: the copy is of the moment of the save.
        step(model, optimizer)
    saver.wait()
    for number in (1, 2):
        folder = Path("checkpoints") / checkpoint.folder_name(number)
        for name in (*FILES, checkpoint.DIGESTS):
            own = (tmp_path / "thread" / folder / name).read_bytes()
            assert own == (tmp_path / "plain" / folder / name).read_bytes()
        assert checkpoint.damage(tmp_path / "thread" / folder) == ""


def test_query_key_and_value_are_apart_in_a_checkpoint(tmp_path: Path) -> None:
    model, optimizer = trained()
    path = checkpoint.save(tmp_path, model, optimizer, state(1), 1)
    stored = safetensors.torch.load_file(path / checkpoint.OPTIMIZER)
    fused = model.encoder.layers[1].qkv.bias
    for number, part in enumerate(("query", "key", "value")):
        name = f"exp_avg.roberta.encoder.layer.1.attention.self.{part}.bias"
        rows = optimizer.state[fused]["exp_avg"][number * 32 : (number + 1) * 32]
        assert torch.equal(stored[name], rows)

    again = build(SHAPE, 5)
    adam = make_adamw(again, OptimConfig())
    checkpoint.restore(path, again, adam)
    before = checkpoint.contents(model, optimizer)
    after = checkpoint.contents(again, adam)
    for one, other in zip(before, after):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert {float(values["step"]) for values in adam.state.values()} == {1.0}


def test_an_error_is_raised_by_the_next_wait(tmp_path: Path) -> None:
    model, optimizer = trained()
    (tmp_path / "checkpoints").write_text("a file where the folder would be")
    saver = Saver(tmp_path, Recipe())
    saver.save(model, optimizer, state(1))
    with pytest.raises(UserError, match="cannot be saved") as caught:
        saver.wait()
    assert caught.value.exit_code == 3
    saver.wait()  # told once


def test_a_checkpoint_is_due_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    never, timed = Saver(tmp_path, Recipe()), Saver(tmp_path, Recipe(save_minutes=2.0))
    now[0] += 121.0
    assert timed.is_old() and not never.is_old()
    model, optimizer = trained()
    timed.save(model, optimizer, state(1))
    timed.wait()
    assert not timed.is_old()


def test_digests_are_those_of_the_files(tmp_path: Path) -> None:
    model, optimizer = trained()
    path = checkpoint.save(tmp_path, model, optimizer, state(1), 1)
    assert (path / checkpoint.DIGESTS).read_text() == checkpoint.digests(path)
    assert json.loads((path / checkpoint.STATE).read_text())["step"] == 1
