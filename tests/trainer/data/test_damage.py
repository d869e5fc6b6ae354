"""What becomes damaged while it is in use: the cached index, a shard that is cut while it is
mapped."""

import os
from pathlib import Path

import numpy as np
import pytest
import trainer_runs as runs
from trainer_fixtures import random_shards

import shards
from shards.errors import UserError
from trainer.cli import main
from trainer.config import DataConfig, MaskingConfig
from trainer.data.gather import Masker
from trainer.data.loader import Loader, Share
from trainer.data.order import make_order
from trainer.data.samples import open_data, open_training
from trainer.formats import index


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Shards of their own, with an index cache of its own."""
    monkeypatch.setenv("CORPUSMILL_CACHE", str(tmp_path / "cache"))
    return random_shards(tmp_path / "shards")


@pytest.mark.parametrize("name", ["full-sentences", "doc-sentences", "segment-pair"])
def test_any_changed_byte_of_an_index_makes_it_anew(
    folder: Path, tmp_path: Path, name: str
) -> None:
    config = DataConfig(format=name, length=32)  # type: ignore[arg-type]
    whole = open_training([str(folder)], config)
    kept = whole.table[:, :, 6:].copy(), whole.starts.copy()
    del whole

    paths = sorted((tmp_path / "cache" / "index").iterdir())
    draw = np.random.default_rng(0)
    for path in paths:
        content = path.read_bytes()
        places = [0, 9, 100, len(content) - 1, *draw.integers(0, len(content), 6).tolist()]
        for place in places:
            damaged = bytearray(content)
            damaged[place] ^= 16
            path.write_bytes(bytes(damaged))
            again = open_training([str(folder)], config)
            assert np.array_equal(again.table[:, :, 6:], kept[0])
            assert np.array_equal(again.starts, kept[1])
            del again
            assert path.read_bytes() == content, place

        for cut in (0, 5, 60, len(content) - 1):
            path.write_bytes(content[:cut])
            open_training([str(folder)], config)
            assert path.read_bytes() == content, cut


def test_a_whole_index_is_not_made_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_data([str(folder)], "train", 32, True)
    monkeypatch.setattr(index, "make_index", lambda *_: pytest.fail("made again"))
    open_data([str(folder)], "train", 32, True)


def test_a_shard_that_is_cut_while_it_is_mapped_is_named(folder: Path) -> None:
    data = open_data([str(folder)], "train", 32, True)
    masker = Masker(data, MaskingConfig(), 0)
    order = make_order(data, 0, {})
    path = folder / "train-news-00000.arrow"
    size = path.stat().st_size

    loader = Loader(masker, order, Share(8, 8), 0, ahead=2)
    loader.next()
    loader.close()

    os.truncate(path, 100)
    loader = Loader(masker, order, Share(len(data), len(data)), 0, ahead=2)
    with pytest.raises(UserError, match=f"{path}: cut to 100 bytes while it was read, of {size}"):
        loader.next()
    loader.close()


def test_other_shards_can_still_be_read(folder: Path) -> None:
    """Only the shards of a micro-batch are looked at; a file that was removed is still mapped."""
    data = open_data([str(folder)], "train", 32, True)
    numbers = {Path(file.path).name: number for number, file in enumerate(data.files)}
    assert set(numbers) == {shard.entry.file for shard in shards.open(str(folder), "train")}

    cut = numbers["train-news-00000.arrow"]
    os.truncate(data.files[cut].path, 100)
    for number, file in enumerate(data.files):
        samples = np.arange(data.starts[0, number], data.starts[0, number + 1])
        epochs = np.zeros(len(samples), np.int64)
        if number == cut:
            with pytest.raises(UserError, match="cut to 100 bytes"):
                data.refuse_cut(epochs, samples)
        else:
            data.refuse_cut(epochs, samples)
            os.unlink(file.path)
            data.refuse_cut(epochs, samples)


def test_a_run_says_which_shard_was_cut(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from trainer import update

    path = folder / "train-books-00000.arrow"
    real = update.learning_rate

    def cut(step: int, *rest: object) -> float:
        if step == 3:
            os.truncate(path, 64)
        return real(step, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(update, "learning_rate", cut)
    run = tmp_path / "run"
    command = ["pretrain", "--shards", str(folder), "--run", str(run), *runs.MINI]
    assert main([*command, "--steps", "500", "--save-every", "2"]) == 1
    said = capsys.readouterr().err
    assert f"error: {path}: cut to 64 bytes while it was read" in said
    assert "--resume" in said and "Traceback" not in said
