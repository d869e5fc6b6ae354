"""Samples, masks and batches are pure functions of their place; every token is used once an
epoch."""

import dataclasses
import os
import resource
from pathlib import Path

import numpy as np
import pytest
import trainer_twins as twins
from trainer_fixtures import random_documents, random_shards, small_tokenizer, write_shards

import shards
from shards.errors import UserError
from trainer.config import MaskingConfig
from trainer.data.gather import Masker
from trainer.data.loader import Loader, Share
from trainer.data.order import MIX_BLOCK, make_order
from trainer.data.samples import Data, open_data
from trainer.formats import index
from trainer.masking.tokens import IGNORED

NOTHING = MaskingConfig(rate=0.15)


def gather(
    data: Data,
    epochs: np.ndarray,
    samples: np.ndarray,
    masking: MaskingConfig = NOTHING,
    seed: int = 0,
) -> tuple[np.ndarray, ...]:
    masker = Masker(data, masking, seed)
    buffers = masker.buffers(len(samples))
    masker.fill(epochs, samples, buffers)
    return buffers.ids, buffers.places, buffers.labels, buffers.lengths[:, 0]


def unmasked(ids: np.ndarray, places: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The ids with the labels put back."""
    flat = ids.reshape(-1).copy()
    real = labels != IGNORED
    flat[places[real]] = labels[real]
    return flat.reshape(ids.shape)


@pytest.fixture(scope="module")
def ragged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random documents with empty, long and one-token sentences, in four shards of two sources."""
    tokenizer = small_tokenizer()
    size = tokenizer.get_vocab_size()
    groups = [random_documents(seed, 25, size) for seed in range(4)]
    groups[0].insert(3, [])
    groups[1][2].insert(1, np.zeros(0, np.int64))
    return write_shards(
        tmp_path_factory.mktemp("ragged") / "shards",
        tokenizer,
        {("train", "news"): groups[:3], ("train", "books"): groups[3:]},
    )


@pytest.mark.parametrize("sentence_eos", [True, False])
@pytest.mark.parametrize("length", [16, 64, 500])
def test_every_sample_equals_its_twin(ragged: Path, length: int, sentence_eos: bool) -> None:
    """Gathering and masking by addresses, over all shards, against lists: every sample of two
    epochs."""
    data = open_data([str(ragged)], "train", length, sentence_eos)
    special = data.tokenizer.special
    order = sorted(shards.open(str(ragged)), key=lambda shard: shard.entry.source != "news")
    expected = []
    for shard in order:
        documents = []
        for d in range(len(shard)):
            tokens, at, document = shard.document(d).tolist(), 0, []
            for size in shard.sentences[
                shard.sentence_offsets[d] : shard.sentence_offsets[d + 1]
            ].tolist():
                document.append(tokens[at : at + size])
                at += size
            documents.append(document)
        expected += twins.samples(documents, length, sentence_eos)
    assert len(expected) == len(data)
    for epoch in (0, 7):
        ids, places, labels, lengths = gather(
            data, np.full(len(data), epoch), np.arange(len(data)), seed=5
        )
        for i, row in enumerate(expected):
            seen, where, what = twins.mask(
                row,
                twins.make_key(5, 2, epoch, i),
                0.15,
                False,
                data.tokenizer.vocab_size,
                sorted(special.values()),
                special["<mask>"],
            )
            assert (
                ids[i, : len(row)].tolist() == seen
                and lengths[i] == len(row)
                and (ids[i, len(row) :] == special["<pad>"]).all()
            )
            count = len(where)
            assert (places[i, :count] - i * length).tolist() == where and labels[
                i, :count
            ].tolist() == what
            assert (labels[i, count:] == IGNORED).all() and (places[i, count:] == 0).all()


def test_every_token_is_used_once_an_epoch(ragged: Path) -> None:
    data = open_data([str(ragged)], "train", 48, True)
    order = make_order(data, 3, {})
    whole = np.sort(
        np.concatenate([shard.tokens for shard in shards.open(str(ragged))]).astype(np.int64)
    )
    special = sorted(data.tokenizer.special.values())
    for epoch in range(2):
        epochs, samples = order.samples(epoch * len(data), len(data))
        assert (epochs == epoch).all()
        ids, places, labels, _ = gather(data, epochs, samples)
        back = unmasked(ids, places, labels)
        assert np.array_equal(np.sort(back[~np.isin(back, special)]), whole)


def test_wide_ids(tmp_path: Path) -> None:
    """A vocabulary above 65,536 has uint32 ids."""
    tokenizer = small_tokenizer()
    tokenizer.add_tokens([f"word{i}" for i in range(70_000)])
    documents = [[np.array([69_999, 66_000, 300]), np.array([5])]]
    data = open_data(
        [str(write_shards(tmp_path, tokenizer, {("train", "a"): [documents]}))], "train", 16, True
    )
    assert data.wide
    ids, places, labels, _ = gather(data, np.zeros(1, np.int64), np.zeros(1, np.int64))
    assert unmasked(ids, places, labels)[0, :8].tolist() == [0, 69_999, 66_000, 300, 2, 5, 2, 1]


def loaded(
    data: Data,
    batch: int,
    micro: int,
    ranks: int,
    first: int,
    steps: int,
    mix: dict[str, float],
    seed: int = 0,
) -> list[tuple[np.ndarray, ...]]:
    """The global batches that `ranks` loaders make, put together."""
    order, masker = make_order(data, seed, mix), Masker(data, NOTHING, seed)
    parts: list[list[tuple[np.ndarray, ...]]] = [[] for _ in range(steps)]
    for rank in range(ranks):
        loader = Loader(masker, order, Share(batch, micro, rank, ranks), first)
        for step in range(steps):
            for _ in range(batch // ranks // micro):
                got = loader.next()
                ids = got.ids.numpy().copy()
                places = (
                    got.places.numpy().reshape(micro, -1) - np.arange(micro)[:, None] * data.length
                )
                labels = got.labels.numpy().reshape(micro, -1).copy()
                parts[step].append((ids, np.where(labels == IGNORED, 0, places), labels))
                assert got.masked == (labels != IGNORED).sum()
                loader.release(got)
        loader.close()
    return [tuple(np.concatenate([part[i] for part in step]) for i in range(3)) for step in parts]


@pytest.mark.parametrize("mix", [{}, {"news": 2.0}], ids=["plain", "mixed"])
def test_batches_do_not_depend_on_ranks_micro_batches_or_history(
    ragged: Path, mix: dict[str, float]
) -> None:
    data = open_data([str(ragged)], "train", 32, True)
    reference = loaded(data, 16, 16, 1, 0, 40, mix)
    for ranks, micro, first in ((1, 2, 0), (2, 4, 0), (4, 2, 0), (2, 1, 17), (1, 8, 39), (4, 4, 5)):
        for ours, theirs in zip(
            loaded(data, 16, micro, ranks, first, 3, mix), reference[first : first + 3]
        ):
            for a, b in zip(ours, theirs):
                assert np.array_equal(a, b)


def test_mixing_is_exact_in_every_block(ragged: Path) -> None:
    data = open_data([str(ragged)], "train", 32, True)
    sizes = {name: end - start for name, (start, end) in data.sources.items()}
    order = make_order(data, 1, {"books": 3.0})
    epochs, samples = order.samples(0, 6 * MIX_BLOCK)
    start, end = data.sources["books"]
    books = (samples >= start) & (samples < end)
    wanted = 3 * sizes["books"] / (3 * sizes["books"] + sizes["news"])
    per_block = books.reshape(6, MIX_BLOCK).sum(1)
    assert (
        len(set(per_block.tolist())) == 1
        and abs(per_block[0] / MIX_BLOCK - wanted) <= 1 / MIX_BLOCK
    )
    # Each source goes through its own epochs: every sample once before any comes again.
    for mine, size in ((books, sizes["books"]), (~books, sizes["news"])):
        seen = samples[mine][: 2 * size]
        assert (np.unique(samples[mine][epochs[mine] == 0], return_counts=True)[1] == 1).all()
        assert (np.unique(samples[mine][epochs[mine] == 1], return_counts=True)[1] == 1).all()
        assert len(np.unique(samples[mine][epochs[mine] == 0])) == size and len(seen) == 2 * size
    # Within a block the sources are shuffled, not one after the other.
    runs = int((np.diff(books[:MIX_BLOCK].astype(int)) != 0).sum())
    assert runs > MIX_BLOCK * wanted * (1 - wanted)
    # Any part of the order can be asked for alone.
    part = order.samples(3000, 2500)
    assert np.array_equal(part[0], epochs[3000:5500]) and np.array_equal(
        part[1], samples[3000:5500]
    )


def test_weight_zero_leaves_a_source_out(ragged: Path) -> None:
    data = open_data([str(ragged)], "train", 32, True)
    _, samples = make_order(data, 0, {"books": 0.0}).samples(0, 9000)
    start, end = data.sources["books"]
    assert not ((samples >= start) & (samples < end)).any()


def test_several_directories(ragged: Path, tmp_path: Path) -> None:
    twice = open_data([str(ragged), str(ragged)], "train", 32, True)
    once = open_data([str(ragged)], "train", 32, True)
    assert len(twice) == 2 * len(once) and list(twice.sources) == list(once.sources)
    other = random_shards(tmp_path / "other", salt="zebra")
    with pytest.raises(UserError, match="its tokenizer is not that of"):
        open_data([str(ragged), str(other)], "train", 32, True)


def test_index_is_cached_by_digest(
    ragged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORPUSMILL_CACHE", str(tmp_path))
    shard = shards.open(str(ragged))[0]
    form = index.Format(length=40)
    first = index.shard_index(shard, form)
    path = next((tmp_path / "index").iterdir())
    assert shard.entry.digest in path.name
    monkeypatch.setattr(index, "make_index", lambda *_: pytest.fail("packed again"))
    again = index.shard_index(shard, form)
    assert np.array_equal(again.samples, first.samples) and again.counts == first.counts
    monkeypatch.undo()
    monkeypatch.setenv("CORPUSMILL_CACHE", str(tmp_path))
    for damage in (b"", path.read_bytes()[:100], path.read_bytes()[:-32]):
        path.write_bytes(damage)
        assert np.array_equal(index.shard_index(shard, form).samples, first.samples)


def test_no_cache_can_be_written(
    ragged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CORPUSMILL_CACHE", str(tmp_path / "file"))
    assert len(open_data([str(ragged)], "train", 40, True)) > 0


def test_more_shards_than_files_may_be_open(tmp_path: Path) -> None:
    """The soft limit is raised: a mapped shard holds a file open."""
    folder = write_shards(
        tmp_path / "shards", small_tokenizer(), {("train", "a"): [[[np.array([5, 6, 7])]]] * 120}
    )
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, before[1]))
    try:
        assert len(open_data([str(folder)], "train", 16, True)) == 120
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_damaged_lengths_and_ids_are_refused(tmp_path: Path) -> None:
    tokenizer = small_tokenizer()
    good = write_shards(tmp_path / "a", tokenizer, {("train", "a"): [[[np.array([5, 6, 7])]]]})
    shard = shards.open(str(good))[0]
    for sizes, ends in (([2], [0, 1]), ([3], [0, 2]), ([3, 0], [0, 1])):
        damaged = dataclasses.replace(
            shard, sentences=np.array(sizes, np.uint32), sentence_offsets=np.array(ends, np.int64)
        )
        with pytest.raises(UserError, match="the sentence lengths do not add up to the tokens"):
            index.make_index(damaged, index.Format(length=16))
    beyond = write_shards(
        tmp_path / "b", tokenizer, {("train", "a"): [[[np.array([5, 60_000, 7])]]]}
    )
    with pytest.raises(UserError, match="an id beyond the vocabulary"):
        gather(
            open_data([str(beyond)], "train", 16, True),
            np.zeros(1, np.int64),
            np.zeros(1, np.int64),
        )


def test_an_error_in_the_thread_reaches_the_training(tmp_path: Path) -> None:
    beyond = write_shards(
        tmp_path / "b", small_tokenizer(), {("train", "a"): [[[np.array([5, 60_000, 7])]]]}
    )
    data = open_data([str(beyond)], "train", 16, True)
    loader = Loader(Masker(data, NOTHING, 0), make_order(data, 0, {}), Share(1, 1), 0)
    with pytest.raises(UserError, match="an id beyond the vocabulary"):
        loader.next()


# --- masking over ten million tokens


@pytest.fixture(scope="module")
def ten_million(tmp_path_factory: pytest.TempPathFactory) -> Data:
    tokenizer = small_tokenizer(1000)
    tokenizer.add_tokens([f"word{i}" for i in range(700)])
    size = tokenizer.get_vocab_size()
    generator = np.random.Generator(np.random.PCG64(0))
    documents = [list(generator.integers(4, 260, (400, 25))) for _ in range(1000)]
    assert tokenizer.token_to_id("<mask>") not in range(4, 260) and size > 900
    folder = write_shards(
        tmp_path_factory.mktemp("ten") / "shards", tokenizer, {("train", "a"): [documents]}
    )
    return open_data([str(folder)], "train", 512, True)


@pytest.mark.parametrize("style", ["exact", "fairseq"])
@pytest.mark.builds
def test_masking_over_ten_million_tokens(ten_million: Data, style: str) -> None:
    """Rate, shares, positions and random ids are as the paper says, within sampling error; special
    ids stay out."""
    data, masking = ten_million, MaskingConfig(style=style)  # type: ignore[arg-type]
    special = sorted(data.tokenizer.special.values())
    mask_id, size = data.tokenizer.special["<mask>"], data.tokenizer.vocab_size
    ids, places, labels, lengths = gather(
        data, np.zeros(len(data), np.int64), np.arange(len(data)), masking
    )
    original = unmasked(ids, places, labels)
    real = labels != IGNORED
    is_special = np.isin(original, special)
    candidates = (~is_special).sum(1) if style == "exact" else lengths
    assert candidates.sum() >= 10_000_000
    counts = real.sum(1)
    if style == "exact":
        assert np.array_equal(counts, np.floor(0.15 * candidates + 0.5))
    else:
        assert (np.abs(counts - 0.15 * lengths) < 1).all() and abs(
            counts.mean() - 0.15 * lengths.mean()
        ) < 4 * 0.29 / np.sqrt(len(counts)) * 2
    total, truth = int(real.sum()), labels[real]
    seen = ids.reshape(-1)[places[real]]
    if style == "exact":
        assert not np.isin(truth, special).any()
    else:
        assert np.isin(truth, special).any()
    changed = (seen != mask_id) & (seen != truth)
    # A random id equals the true one, or is <mask> (fairseq), once in so many draws.
    allowed = size - len(special) if style == "exact" else size - 4
    random_share = 0.1 * (1 - (1 if style == "exact" else 2) / allowed)
    for share, wanted in (
        ((seen == mask_id).mean(), 0.8 + (0 if style == "exact" else 0.1 / allowed)),
        (changed.mean(), random_share),
    ):
        assert abs(share - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / total)
    drawn = np.bincount(seen[changed], minlength=size)
    if style == "exact":
        assert not drawn[special].any()
        free = np.setdiff1d(np.arange(size), special)
    else:
        assert not drawn[:4].any()
        free = np.setdiff1d(np.arange(4, size), [mask_id])
    unused = free[(free >= 260)]  # ids that no text holds: all equally likely
    expected = drawn[unused].mean()
    chi2 = ((drawn[unused] - expected) ** 2 / expected).sum()
    assert abs(chi2 - (len(unused) - 1)) < 5 * np.sqrt(2 * (len(unused) - 1))
    # Every place of a full sample is chosen equally often (special ids stand at the same places in
    # all: left out).
    places_in_row = places - np.arange(len(ids))[:, None] * data.length
    chosen = np.bincount(places_in_row[real], minlength=data.length)
    offered = (
        (~is_special).sum(0)
        if style == "exact"
        else (np.arange(data.length) < lengths[:, None]).sum(0)
    )
    usual = offered > 0.9 * len(ids)
    rate = chosen[usual] / offered[usual]
    expected_rate = counts.sum() / candidates.sum()
    assert np.abs(rate - expected_rate).max() < 6 * np.sqrt(
        expected_rate * (1 - expected_rate) / len(ids)
    )


def test_masks_change_with_epoch_and_seed(ten_million: Data) -> None:
    some = np.arange(200)
    base = gather(ten_million, np.zeros(200, np.int64), some)[1]
    again = gather(ten_million, np.zeros(200, np.int64), some)[1]
    epoch = gather(ten_million, np.ones(200, np.int64), some)[1]
    seed = gather(ten_million, np.zeros(200, np.int64), some, seed=1)[1]
    assert np.array_equal(base, again)
    for other in (epoch, seed):
        shared = np.mean([len(np.intersect1d(a, b)) / len(a) for a, b in zip(base, other)])
        assert 0.12 < shared < 0.18  # two independent choices of 15 % share 15 %


def test_masking_rows_alone_or_together(ten_million: Data) -> None:
    """A sample's masks do not depend on the batch it is in."""
    samples = np.arange(32)[::-1].copy()
    ids, places, labels, _ = gather(ten_million, np.zeros(32, np.int64), samples)
    for i, sample in enumerate(samples):
        alone, where, what, _ = gather(ten_million, np.zeros(1, np.int64), np.array([sample]))
        assert np.array_equal(alone[0], ids[i]) and np.array_equal(what[0], labels[i])
        assert np.array_equal(where[0][what[0] >= 0], (places[i] - i * 512)[labels[i] >= 0])


def test_environment_of_tests() -> None:
    """Kernels under test check bounds."""
    assert os.environ.get("NUMBA_BOUNDSCHECK") == "1"


def test_folders_of_different_sources_go_together(tmp_path: Path) -> None:
    """Training and validation read every source from the folders that have it."""
    from trainer.config import EvaluationConfig
    from trainer.evaluate import validation_sets

    tokenizer = small_tokenizer()
    size = tokenizer.get_vocab_size()
    folders = []
    for number, names in enumerate((("a", "b"), ("c", "b"))):
        parts = {
            (split, name): [random_documents(10 * number + place, 6, size)]
            for place, name in enumerate(names)
            for split in ("train", "valid")
        }
        folders.append(str(write_shards(tmp_path / str(number), tokenizer, parts)))
    data = open_data(folders, "train", 64, True)
    assert list(data.tokens) == ["a", "b", "c"]
    assert data.tokens["b"] == sum(
        shard.entry.tokens for folder in folders for shard in shards.open(folder, "train", "b")
    )
    assert [part.source for part in validation_sets(folders, 64, EvaluationConfig(samples=4))] == [
        "a",
        "b",
        "c",
    ]
