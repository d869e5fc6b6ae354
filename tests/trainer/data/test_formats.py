"""The formats through the loader's kernel: samples, plans, masks and batches of every format are
pure functions of their place, on made and on real documents."""

import dataclasses
import hashlib
from pathlib import Path

import format_twins
import mask_twins
import numpy as np
import pytest
import trainer_twins
from real_documents import as_lists, real_shards
from trainer_fixtures import (
    memory_shard,
    patterned_documents,
    random_documents,
    small_tokenizer,
    write_shards,
)

import shards
from shards.errors import UserError
from trainer.chance import MASK, draw, make_key
from trainer.config import DataConfig, MaskingConfig, check, load_recipe
from trainer.data.gather import Buffers, Masker, word_kinds
from trainer.data.loader import Loader, Share, arrays_of
from trainer.data.order import make_order
from trainer.data.samples import Data, open_data, open_samples, open_training
from trainer.formats.index import PLANS, Format, FormatName, make_index
from trainer.masking.spans import LENGTHS, length_thresholds, span_length
from trainer.masking.tokens import IGNORED

FORMATS: tuple[FormatName, ...] = (
    "full-sentences",
    "doc-sentences",
    "segment-pair",
    "sentence-pair",
)
IN_ROWS = FORMATS[1:]
PAIRED = FORMATS[2:]

# Masks so few that none is drawn.
NOTHING = MaskingConfig(rate=1e-9)


def fill(
    data: Data, epoch: int, samples: np.ndarray, masking: MaskingConfig, seed: int = 0
) -> Buffers:
    masker = Masker(data, masking, seed)
    buffers = masker.buffers(len(samples))
    masker.fill(np.full(len(samples), epoch), samples, buffers)
    return buffers


def everything(data: Data, epoch: int, masking: MaskingConfig, seed: int = 0) -> Buffers:
    """All samples of an epoch."""
    return fill(data, epoch, np.arange(data.starts[epoch % len(data.starts), -1]), masking, seed)


def unmasked(buffers: Buffers) -> np.ndarray:
    """The ids with the labels put back."""
    flat = buffers.ids.reshape(-1).copy()
    real = buffers.labels != IGNORED
    flat[buffers.places[real]] = buffers.labels[real]
    return flat.reshape(buffers.ids.shape)


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


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Books, news and pages."""
    return real_shards(tmp_path_factory.mktemp("real") / "shards")


def twin_of(shard: shards.reader.Shard, form: Format, number: int) -> format_twins.Made:
    """The twin's samples, of items (id, whether a sentence begins with it)."""
    documents = []
    for document in as_lists(shard):
        marked = [[(value, i == 0) for i, value in enumerate(part)] for part in document]
        documents.append(marked)
    bos, eos = (0, False), (2, False)
    if form.name == "doc-sentences":
        return format_twins.doc_sentences(documents, form.length, form.sentence_eos, bos, eos)
    seed = int(shard.entry.digest[:15], 16)
    settings = (form.length, form.name, form.nsp, form.short_seq_prob, seed, number)
    return format_twins.pairs(documents, *settings, bos, eos)


@pytest.mark.parametrize("unit", ["token", "word", "span"])
@pytest.mark.parametrize("name", IN_ROWS)
def test_every_sample_equals_its_twins(ragged: Path, name: FormatName, unit: str) -> None:
    """Over all shards by their addresses, with masks: ids, lengths, classes, places, labels, and
    what stands beside spans."""
    form = Format(name=name, length=48)
    masking = MaskingConfig(unit=unit, static=3)  # type: ignore[arg-type]
    data = open_samples([str(ragged)], "train", form)
    special = data.tokenizer.special
    table = word_kinds(data).tolist()
    order = sorted(shards.open(str(ragged)), key=lambda shard: shard.entry.source != "news")

    for epoch in (0, 14):
        found = everything(data, epoch, masking, seed=5)
        made = [twin_of(shard, form, epoch % form.plans) for shard in order]
        rows = [row for part in made for row in part.rows]
        classes = [row for part in made for row in part.classes]
        assert len(rows) == len(found.ids)
        for i, sequences in enumerate(rows):
            items = [item for sequence in sequences for item in sequence]
            row = [value for value, _ in items]
            begins = [int(flag) for _, flag in items]
            sizes = [len(sequence) for sequence in sequences]
            key = trainer_twins.make_key(5, 2, epoch % 3, i)
            beside: list[tuple[int, int, int]] = []
            if unit == "token":
                seen, where, what = trainer_twins.mask(
                    row, key, 0.15, False, len(table), sorted(special.values()), special["<mask>"]
                )
            settings = (row, key, 0.15, table, begins, special["<mask>"])
            if unit == "word":
                seen, where, what = mask_twins.mask_words(*settings)
            elif unit == "span":
                (seen, where, what), beside = mask_twins.mask_spans(*settings)
            count = len(where)
            assert found.ids[i, : len(row)].tolist() == seen
            assert (found.ids[i, len(row) :] == special["<pad>"]).all()
            assert found.lengths[i, : len(sizes)].tolist() == sizes
            assert not found.lengths[i, len(sizes) :].any()
            assert (found.places[i, :count] - 48 * i).tolist() == where
            assert found.labels[i, :count].tolist() == what
            assert (found.labels[i, count:] == IGNORED).all() and not found.places[i, count:].any()
            if form.has_pairs:
                assert found.next[i, : len(sizes)].tolist() == classes[i]
                assert (found.next[i, len(sizes) :] == IGNORED).all()
            if unit == "span":
                left, right = found.left[i] - 48 * i, found.right[i] - 48 * i
                triples = list(zip(left.tolist(), right.tolist(), found.offset[i].tolist()))
                assert triples[:count] == beside
                for array in (found.left, found.right, found.offset):
                    assert not array[i, count:].any()


# --- on real documents


@pytest.mark.parametrize("length", [128, 512])
@pytest.mark.parametrize("name", IN_ROWS)
@pytest.mark.builds
def test_real_documents_equal_twins(real: Path, name: FormatName, length: int) -> None:
    """Books, news and pages: every sequence, and every token accounted for."""
    for shard in shards.open(str(real)):
        for nsp in ("paper", "bert") if name in PAIRED else ("paper",):
            form = Format(name=name, length=length, nsp=nsp)  # type: ignore[arg-type]
            index = make_index(shard, form, 3)
            counts = index.counts
            documents = as_lists(shard)
            if name == "doc-sentences":
                wanted = format_twins.doc_sentences(documents, length, True, share=False)
            else:
                seed = int(shard.entry.digest[:15], 16)
                wanted = format_twins.pairs(documents, length, name, nsp, 0.1, seed, 3, share=False)
            data = open_samples([str(real)], "train", form, shard.entry.source)
            plan = 3 if form.has_pairs else 0
            found = everything(data, plan, NOTHING)
            sequences = []
            classes = []
            for row, sizes, kinds in zip(found.ids, found.lengths, pad(found.next, found.lengths)):
                cuts = np.cumsum(sizes[sizes > 0])
                sequences += [part.tolist() for part in np.split(row, cuts)[:-1]]
                classes += kinds[sizes > 0].tolist()
            assert sorted(sequences) == sorted(row[0] for row in wanted.rows)
            used = sum(len(part) - 3 for part in sequences) if form.has_pairs else 0
            if form.has_pairs:
                assert counts.tokens == used - counts.borrowed + counts.trimmed + counts.dropped
                assert (counts.trimmed, counts.dropped) == (wanted.trimmed, wanted.dropped)
                assert (counts.pairs, counts.random) == (len(classes), sum(classes))


def pad(classes: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The classes, or zeros where the format has none."""
    return classes if classes.shape[1] else np.zeros_like(lengths)


@pytest.mark.builds
def test_doc_sentences_fill_their_rows(real: Path) -> None:
    """What is left empty is the end of a full sequence that the next sentence did not fit into:
    less at 512 tokens than at 128, and less of news, whose documents are short, than of books."""
    for source, wanted in (("news", 0.992), ("pages", 0.958), ("books", 0.931)):
        form = Format(name="doc-sentences", length=512)
        data = open_samples([str(real)], "train", form, source)
        lengths = everything(data, 0, NOTHING).lengths
        assert lengths.sum() / (len(lengths) * 512) == pytest.approx(wanted, abs=0.004)
        assert data.counts.filled == lengths.sum()
        # A whole row of short sequences is full: only long ones leave room.
        shared = (lengths > 0).sum(1) > 1
        assert lengths[shared].sum() / (shared.sum() * 512) > 0.98


# --- shares of pairs


def documents_like(mean: float, sentence: float, count: int) -> list[list[list[int]]]:
    """Documents whose lengths in sentences are lognormal and those of sentences gamma."""
    generator = np.random.Generator(np.random.PCG64(7))
    documents = []
    for size in generator.lognormal(np.log(mean / sentence) - 0.32, 0.8, count):
        lengths = generator.gamma(2.5, sentence / 2.5, max(1, round(size)))
        documents.append([[9] * max(1, round(length)) for length in lengths])
    return documents


@pytest.mark.parametrize(
    ("mean", "count", "random", "fill"),
    [
        (15_000, 120, (0.50, 0.53), 0.83),
        (450, 1500, (0.55, 0.60), 0.53),
        (90, 4000, (0.66, 0.72), 0.20),
    ],
    ids=["books", "articles", "short pages"],
)
def test_shares_of_random_pairs(
    mean: float, count: int, random: tuple[float, float], fill: float
) -> None:
    """BERT's code makes more than half of the pairs random, the more the shorter the documents are,
    and leaves much of its samples empty; `paper` makes exactly half."""
    shard = memory_shard(documents_like(mean, 25, count))
    form = Format(name="segment-pair", length=512, nsp="bert")
    plans = [make_index(shard, form, number).counts for number in range(10)]
    pairs = sum(counts.pairs for counts in plans)
    assert random[0] < sum(counts.random for counts in plans) / pairs < random[1]
    filled = sum(counts.filled for counts in plans) / (pairs * 512)
    assert filled == pytest.approx(fill, abs=0.05)
    for name in PAIRED:
        for number in range(3):
            counts = make_index(shard, Format(name=name, length=512), number).counts
            assert 2 * counts.random == counts.pairs > 100


# --- plans, epochs and batches


@pytest.mark.parametrize("name", PAIRED)
def test_ten_plans_take_turns(ragged: Path, name: FormatName) -> None:
    """Epoch e has the samples of plan e mod 10, each of them once, though plans differ in size; any
    place of the order is known without what is before it."""
    data = open_samples([str(ragged)], "train", Format(name=name, length=48))
    sizes = data.starts[:, -1]
    assert len(sizes) == PLANS and len(set(sizes.tolist())) > 3
    order = make_order(data, 3, {})
    ends = np.cumsum(np.tile(sizes, 2))
    for epoch in range(20):
        first = int(ends[epoch] - sizes[epoch % 10])
        epochs, samples = order.samples(first, int(sizes[epoch % 10]))
        assert (epochs == epoch).all()
        assert np.array_equal(np.sort(samples), np.arange(sizes[epoch % 10]))
    whole = order.samples(0, int(ends[-1]))
    for first in (0, 5, int(ends[0]) - 3, int(ends[9]) - 7, int(ends[12]) - 1):
        part = order.samples(first, 20)
        assert np.array_equal(part[0], whole[0][first : first + 20])
        assert np.array_equal(part[1], whole[1][first : first + 20])

    plans = [unmasked(everything(data, epoch, NOTHING)).tobytes() for epoch in range(20)]
    assert len(set(plans)) == PLANS and plans[:10] == plans[10:]


def test_mixed_sources_have_their_own_plans(ragged: Path) -> None:
    data = open_samples([str(ragged)], "train", Format(name="segment-pair", length=48))
    epochs, samples = make_order(data, 1, {"books": 3.0}).samples(0, 40 * len(data))
    for name in data.shards:
        ranges = data.ranges(name)
        mine = np.zeros(len(samples), bool)
        for epoch, plan in enumerate(ranges * 3):
            here = (epochs == epoch) & (samples >= plan[0]) & (samples < plan[1])
            other = [data.ranges(source)[epoch % 10] for source in data.shards if source != name]
            if any(start <= plan[0] < end for start, end in other):
                continue
            seen = samples[here]
            if len(seen) == plan[1] - plan[0]:
                assert np.array_equal(np.sort(seen), np.arange(*plan))
            mine |= here
        assert mine.any()


def test_static_masks_come_again_every_ten_epochs(ragged: Path) -> None:
    """With ten patterns epoch e has exactly the masks of epoch e + 10, and no two within ten are
    the same; dynamic masks never come again."""
    data = open_data([str(ragged)], "train", 64, True)
    for unit in ("token", "word", "span"):
        static = MaskingConfig(unit=unit, static=10)  # type: ignore[arg-type]
        seen = [everything(data, epoch, static).ids.tobytes() for epoch in range(20)]
        assert seen[:10] == seen[10:] and len(set(seen)) == 10
        dynamic = MaskingConfig(unit=unit)  # type: ignore[arg-type]
        ids = [everything(data, epoch, dynamic).ids.tobytes() for epoch in range(20)]
        assert len(set(ids)) == 20 and ids[:10] == seen[:10]


def copied(batch: object, masker: Masker, micro: int) -> list[np.ndarray]:
    """The arrays of a micro-batch, places as those in their row."""
    arrays = dataclasses.asdict(arrays_of(batch, masker, micro))  # type: ignore[arg-type]
    row_starts = np.arange(micro)[:, None] * masker.data.length
    for name in ("places", "left", "right"):
        if arrays[name].shape[1]:
            arrays[name] = np.where(arrays["labels"] == IGNORED, 0, arrays[name] - row_starts)
    return [array.copy() for array in arrays.values()]


def loaded(
    data: Data, masking: MaskingConfig, micro: int, ranks: int, first: int, steps: int
) -> list[list[np.ndarray]]:
    """The global batches of 16 that `ranks` loaders make, put together."""
    order, masker = make_order(data, 0, {}), Masker(data, masking, 0)
    parts: list[list[list[np.ndarray]]] = [[] for _ in range(steps)]
    for rank in range(ranks):
        loader = Loader(masker, order, Share(16, micro, rank, ranks), first)
        for step in range(steps):
            for _ in range(16 // ranks // micro):
                got = loader.next()
                assert got.masked == int((got.labels != IGNORED).sum())
                assert got.tokens == int(got.lengths.sum())
                assert int((got.ids != 1).sum()) == got.tokens
                parts[step].append(copied(got, masker, micro))
                loader.release(got)
        loader.close()
    return [[np.concatenate(arrays) for arrays in zip(*part)] for part in parts]


@pytest.mark.parametrize(
    ("name", "unit"),
    [("doc-sentences", "span"), ("segment-pair", "word"), ("sentence-pair", "token")],
)
def test_batches_do_not_depend_on_ranks_micro_batches_or_history(
    ragged: Path, name: FormatName, unit: str
) -> None:
    data = open_samples([str(ragged)], "train", Format(name=name, length=48))
    masking = MaskingConfig(unit=unit, static=10)  # type: ignore[arg-type]
    reference = loaded(data, masking, 16, 1, 0, 100)
    border = int(data.starts[0, -1]) // 16  # batches before the second epoch
    assert border < 90
    for ranks, micro, first in ((1, 2, 0), (2, 4, border - 1), (4, 2, 17), (2, 1, 97)):
        for ours, theirs in zip(
            loaded(data, masking, micro, ranks, first, 3), reference[first : first + 3]
        ):
            assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


# --- nothing that existed has changed

# Of the samples of two epochs, masked: from before there were other formats.
GOLDEN = {
    (True, "exact", False): "3542d4154f4b193ea1cb85fd3ad2d9da",
    (True, "exact", True): "fb0584df1efa7422666a2fb21e60412c",
    (True, "fairseq", False): "3e07c698c93b7181a6fc87b8eab5fabe",
    (True, "fairseq", True): "377b3ac46895cfdb4203a012bf99ced8",
    (False, "exact", False): "ec58eaaed3288c2423acb46ed6d90bf7",
    (False, "exact", True): "b81b434edf77d42aa2b6d4ed99ccfbd5",
    (False, "fairseq", False): "db9a1fe6b44e2352bb3f1c750b8cc545",
    (False, "fairseq", True): "e6141c82a2e88b3781b4217cdad2c197",
}


def test_full_sentences_keep_their_bytes(tmp_path: Path) -> None:
    tokenizer = small_tokenizer()
    size = tokenizer.get_vocab_size()
    groups = [random_documents(seed, 40, size) for seed in range(4)]
    write_shards(
        tmp_path, tokenizer, {("train", "news"): groups[:3], ("train", "books"): groups[3:]}
    )
    for (eos, style, mixed), wanted in GOLDEN.items():
        data = open_data([str(tmp_path)], "train", 64, eos)
        masker = Masker(data, MaskingConfig(style=style), 11)  # type: ignore[arg-type]
        buffers = masker.buffers(400)
        mix = {"news": 2.0} if mixed else {}
        epochs, samples = make_order(data, 11, mix).samples(len(data) - 200, 400)
        masker.fill(epochs, samples, buffers)
        digest = hashlib.blake2b(digest_size=16)
        arrays = (buffers.ids, buffers.places, buffers.labels, buffers.lengths[:, 0])
        for array in (epochs, samples, *arrays):
            digest.update(np.ascontiguousarray(array).tobytes())
        assert digest.hexdigest() == wanted


def test_validation_sets_keep_their_identity(tmp_path: Path) -> None:
    """What an older version stored is still read: a new setting of the masks does not enter it."""
    from trainer.config import EvaluationConfig
    from trainer.evaluate import identify, validation_sets

    tokenizer = small_tokenizer()
    documents = random_documents(0, 6, tokenizer.get_vocab_size())
    folder = write_shards(tmp_path / "shards", tokenizer, {("valid", "a"): [documents]})
    data = open_data([str(folder)], "valid", 64, True)
    lines = [
        *data.identity,
        data.tokenizer.digest,
        "64 5 0 MaskingConfig(rate=0.15, style='exact') 1",
    ]
    wanted = hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()
    assert identify(data, 5, MaskingConfig()) == wanted
    assert len(validation_sets([str(folder)], 64, EvaluationConfig(samples=5))[0].ids) == 5


# --- what cannot work


def test_pairs_need_two_documents_in_a_shard(tmp_path: Path) -> None:
    tokenizer = small_tokenizer()
    one = patterned_documents(0, 1, 300)
    many = patterned_documents(1, 9, 300)
    folder = write_shards(
        tmp_path / "a", tokenizer, {("train", "books"): [one, one], ("train", "news"): [many]}
    )
    for name in PAIRED:
        with pytest.raises(UserError, match="source books has no pairs for .*two documents"):
            open_training([str(folder)], DataConfig(format=name, length=64))
    assert len(open_training([str(folder)], DataConfig(format="doc-sentences", length=64)))

    # A shard of one document among others is left out, and counted.
    folder = write_shards(tmp_path / "b", tokenizer, {("train", "books"): [many, one]})
    data = open_training([str(folder)], DataConfig(format="segment-pair", length=64))
    tokens = sum(len(sentence) for sentence in one[0])
    assert data.counts.dropped >= tokens * PLANS

    # Documents of one sentence give BERT's code random pairs, and the paper's none.
    short = [document[:1] for document in many]
    folder = write_shards(tmp_path / "c", tokenizer, {("train", "books"): [short]})
    config = DataConfig(format="segment-pair", length=64)
    with pytest.raises(UserError, match="source books has no pairs"):
        open_training([str(folder)], config)
    data = open_training([str(folder)], dataclasses.replace(config, nsp="bert"))
    assert data.counts.random == data.counts.pairs == 9 * PLANS


def test_words_need_a_vocabulary_that_tells_them(tmp_path: Path) -> None:
    import tokenizers

    tokenizer = small_tokenizer()
    folder = write_shards(tmp_path, tokenizer, {("train", "a"): [patterned_documents(0, 9, 300)]})
    letters = tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    (folder / "tokenizer.json").write_text(letters.to_str())
    data = open_data([str(folder)], "train", 64, True)
    for unit in ("word", "span"):
        with pytest.raises(UserError, match="does not tell where words begin"):
            Masker(data, MaskingConfig(unit=unit), 0)  # type: ignore[arg-type]
    Masker(data, MaskingConfig(), 0)


@pytest.mark.parametrize(
    ("masking", "what"),
    [
        ({"unit": "span", "style": "fairseq"}, "masking.style: fairseq masks single tokens"),
        ({"unit": "word", "style": "bernoulli"}, "masking.style: bernoulli masks single tokens"),
        ({"static": -1}, "masking.static: -1 is not from 0 to 1,000,000,000"),
        ({"span_p": 1.0}, r"masking.span_p: 1.0 is not in \(0, 1\)"),
        ({"span_words": 0}, "masking.span_words: 0 is not 1 to 100"),
    ],
)
def test_masks_that_cannot_be_drawn(masking: dict[str, object], what: str) -> None:
    settings = MaskingConfig(**masking)  # type: ignore[arg-type]
    recipe = dataclasses.replace(load_recipe("tiny"), masking=settings)
    with pytest.raises(UserError, match=what):
        check(recipe)


def test_a_shard_of_more_tokens_than_a_part_can_name(
    ragged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.formats import index

    monkeypatch.setattr(index, "MOST_TOKENS", 10)
    shard = shards.open(str(ragged))[0]
    with pytest.raises(UserError, match="doc-sentences takes shards of at most 10 tokens"):
        make_index(shard, Format(name="doc-sentences", length=64))
    make_index(shard, Format(length=64))


# --- masks over many tokens


@pytest.fixture(scope="module")
def worded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a million tokens of a vocabulary in which the even ids begin words; the sentences are
    long, so that few spans are cut short."""
    tokenizer = small_tokenizer()
    tokenizer.add_tokens([f"{' ' if i % 2 == 0 else ''}w{i}" for i in range(2000)])
    size = tokenizer.get_vocab_size()
    generator = np.random.Generator(np.random.PCG64(0))
    documents = [list(generator.integers(size - 2000, size, (4, 500))) for _ in range(250)]
    folder = tmp_path_factory.mktemp("worded") / "shards"
    return write_shards(folder, tokenizer, {("train", "a"): [documents]})


def check_masks(folder: Path, masking: MaskingConfig, epochs: int) -> None:
    """Rate, 80/10/10, random ids, whole words and lengths of spans, within sampling error, over so
    many times half a million tokens."""
    data = open_data([str(folder)], "train", 512, False)
    special = data.tokenizer.reserved
    mask_id, size = data.tokenizer.special["<mask>"], data.tokenizer.vocab_size
    kinds = word_kinds(data)
    chosen = candidates = 0
    fates = np.zeros(3)  # masked, kept, random
    draws = 0.0  # of fates
    drawn = np.zeros(size)
    drawn_lengths_of_all: list[np.ndarray] = []  # of spans, in words

    for epoch in range(epochs):
        buffers = everything(data, epoch, masking)
        truth = unmasked(buffers)
        hidden = np.zeros(truth.shape, bool)
        real = buffers.labels != IGNORED
        hidden.reshape(-1)[buffers.places[real]] = True
        ordinary = ~np.isin(truth, special)
        assert not (hidden & ~ordinary).any()
        assert hidden.sum() == real.sum()

        budget = np.floor(0.15 * ordinary.sum(1) + 0.5)
        if masking.style == "exact":
            # Words are never cut, so a row may have a token or two less than its budget.
            short = budget - hidden.sum(1)
            assert (short >= 0).all() and short.mean() < 0.05
        chosen += int(hidden.sum())
        candidates += int(ordinary.sum())

        begins = ordinary & ((kinds[truth] & 1 > 0) | ~np.roll(ordinary, 1, 1))
        if masking.unit != "token":
            # A token that continues a word is hidden exactly where the token before it is.
            inside = ordinary & ~begins
            assert (hidden[inside] == np.roll(hidden, 1, 1)[inside]).all()

        seen = buffers.ids[hidden]
        kept, masked = seen == truth[hidden], seen == mask_id
        fates += [masked.sum(), kept.sum(), (~kept & ~masked).sum()]
        assert not np.isin(seen[~masked], special).any()
        drawn += np.bincount(seen[~kept & ~masked], minlength=size)
        draws += hidden.sum()

        if masking.unit == "span":
            places = buffers.places[real]
            left, right, offset = (
                array[real] for array in (buffers.left, buffers.right, buffers.offset)
            )
            flat = hidden.reshape(-1)
            assert not flat[left].any() and not flat[right].any()
            assert (places == left + offset).all() and (offset >= 1).all()
            words = np.cumsum(begins.reshape(-1))
            order = np.flatnonzero(offset == 1)
            rows = places[order] // 512
            lengths = words[right[order] - 1] - words[left[order]]
            drawn_here = drawn_lengths(epoch, rows)
            drawn_lengths_of_all.append(drawn_here)
            # The budget and special ids cut spans short, and nothing makes them longer.
            assert (lengths <= drawn_here).all()
            last = np.append(rows[3:] != rows[:-3], [True] * 3)  # of the last three
            cut = last | ~ordinary.reshape(-1)[right[order]]
            assert (lengths == drawn_here)[~cut].mean() > 0.995

    rate = chosen / candidates
    if masking.style == "exact":
        assert abs(rate - 0.15) < 0.001
    else:
        assert abs(rate - 0.15) < 4 * np.sqrt(0.15 * 0.85 / candidates)

    # One draw decides for a span of several tokens, so those deviate as fewer draws do.
    independent = draws / 10 if masking.unit == "span" else draws
    for share, wanted in zip(fates / draws, (0.8, 0.1, 0.1)):
        assert abs(share - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / independent)

    # All ordinary ids are equally likely as replacements.
    allowed = np.setdiff1d(np.arange(size), special)
    expected = drawn[allowed].mean()
    chi2 = ((drawn[allowed] - expected) ** 2 / expected).sum()
    assert abs(chi2 - (len(allowed) - 1)) < 5 * np.sqrt(2 * (len(allowed) - 1))

    if masking.unit == "span":
        lengths = np.concatenate(drawn_lengths_of_all)
        shares = 0.2 * 0.8 ** np.arange(10)
        shares /= shares.sum()
        mean = float((shares * np.arange(1, 11)).sum())
        assert mean == pytest.approx(3.80, abs=0.005)
        assert abs(lengths.mean() - mean) < 4 * 2.6 / np.sqrt(len(lengths))


def drawn_lengths(epoch: int, rows: np.ndarray) -> np.ndarray:
    """The lengths in words that the spans of `rows`, in order, were drawn with."""
    numbers = np.arange(len(rows)) - np.searchsorted(rows, rows)
    thresholds = length_thresholds(0.2, 10)
    lengths = []
    for row, number in zip(rows, numbers):
        key = make_key(0, MASK, epoch, row)
        bits = np.uint64(draw(np.uint64(key), LENGTHS + number))
        lengths.append(span_length(bits, thresholds))
    return np.array(lengths)


MASKINGS = [
    MaskingConfig(unit="word"),
    MaskingConfig(unit="span"),
    MaskingConfig(style="bernoulli"),
]


def name_of(masking: MaskingConfig) -> str:
    return f"{masking.unit}-{masking.style}"


@pytest.mark.parametrize("masking", MASKINGS, ids=name_of)
def test_masks_over_a_million_tokens(worded: Path, masking: MaskingConfig) -> None:
    check_masks(worded, masking, 2)


@pytest.mark.long
@pytest.mark.parametrize("masking", MASKINGS, ids=name_of)
def test_masks_over_ten_million_tokens(worded: Path, masking: MaskingConfig) -> None:
    check_masks(worded, masking, 21)
