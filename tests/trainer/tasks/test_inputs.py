"""From examples to sequences: the published ids of RoBERTa, RACE and SQuAD of the test data, and
twins in plain Python."""

import json
import re
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import task_models as models
from hypothesis import given
from hypothesis import strategies as st
from realdata import data_file
from task_data import task_folder

from corpora.tasks.catalogue import TASKS
from corpora.tasks.examples import Referent
from corpora.tasks.faults import Read
from corpora.tasks.read import read, read_choices, read_questions
from trainer.config import ModelConfig
from trainer.data.loader import Share
from trainer.tasks.answers import span_answers
from trainer.tasks.batches import TaskOrder, batch_items, by_length, make_batch
from trainer.tasks.candidates import candidate_features, other_candidates, spacy_chunks
from trainer.tasks.features import NONE, Builder
from trainer.tasks.inputs import join_texts, shorten, text_features
from trainer.tasks.settings import preset
from trainer.tasks.splits import Maker, Split
from trainer.tasks.texts import TextEncoder, open_encoder
from trainer.tasks.windows import (
    SpanRow,
    Spans,
    Window,
    WindowConfig,
    span_features,
    window_starts,
)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RoBERTa's own vocabulary as its directories have it, and the published vectors."""
    archive = data_file("tokenizer/gpt2_bpe.tar.xz")
    if archive is None:
        pytest.skip("the vocabulary of GPT-2 is not at hand")
    folder = tmp_path_factory.mktemp("published")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    inside = folder / "tokenizer"
    shutil.copy(inside / "roberta_vocab_derived.json", inside / "vocab.json")
    shutil.copy(inside / "vocab.bpe", inside / "merges.txt")
    return inside


@pytest.fixture(scope="module")
def roberta(published: Path) -> TextEncoder:
    return open_encoder(published)


def maker(task: str, encoder: TextEncoder, positions: int = 512) -> Maker:
    config = ModelConfig(vocab_size=50265, positions=positions)
    return Maker(TASKS[task], encoder, config, preset(task))


def test_the_published_ids(published: Path, roberta: TextEncoder) -> None:
    vectors = json.loads((published / "vectors.json").read_text())
    rows = [("", pair["a"], pair["b"], 0.0) for pair in vectors["published_pairs"]]
    features = text_features(roberta, "roberta", 512, rows)
    expected = [pair["roberta_ids_with_specials"] for pair in vectors["published_pairs"]]
    assert len(expected) == 15
    found = np.split(features.tokens, features.starts[1:-1])
    assert [part.tolist() for part in found] == expected
    assert features.cuts["first"].texts == 0


def test_a_text_that_spells_special_tokens_is_text(tmp_path: Path) -> None:
    encoder = models.small_encoder(tmp_path)
    assert not set(encoder.ids(["a</s>b<s><mask>"])[0].tolist()) & {0, 1, 2, 299}


def test_pairs_of_each_family() -> None:
    first, second = np.array([7, 8], np.int32), np.array([9], np.int32)
    roles = models.ROLES
    assert join_texts(first, None, roles, "roberta").tolist() == [0, 7, 8, 2]
    assert join_texts(first, second, roles, "roberta").tolist() == [0, 7, 8, 2, 2, 9, 2]
    assert join_texts(first, second, roles, "bert").tolist() == [0, 7, 8, 2, 9, 2]


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 50))
def test_shorten_cuts_the_longer_one(first: int, second: int, room: int) -> None:
    a, b = first, second
    while a + b > room:
        if a > b:
            a -= 1
        else:
            b -= 1
    assert shorten(first, second, room) == (a, b)


# --- RACE


def test_race_of_the_test_data(roberta: TextEncoder) -> None:
    choices = read_choices(TASKS["race"], task_folder("RACE"), "train")
    split = maker("race", roberta).split("train", choices, training=True)
    features = split.features
    assert len(features) == len(choices.items) == 314
    assert np.diff(features.items).tolist() == [4] * len(features)
    assert int(features.sizes.max()) <= 512

    # A twin, token by token.
    cut = {"passage": [0, 0], "question and option": [0, 0]}
    number = 0
    for choice in choices.items:
        passage = roberta.ids([" ".join(choice.passage.split())])[0].tolist()
        for option in choice.options:
            if "_" in choice.question:
                text = choice.question.replace("_", option)
            else:
                text = f"{choice.question} {option}"
            question = roberta.ids([" ".join(text.split())])[0].tolist()
            kept = passage[:]
            if len(question) > 128:
                cut["question and option"][0] += 1
                cut["question and option"][1] += len(question) - 128
                question = question[:128]
            while len(kept) + len(question) + 4 > 512:
                kept.pop()
            cut["passage"][0] += len(kept) < len(passage)
            cut["passage"][1] += len(passage) - len(kept)
            expected = [0, *question, 2, 2, *kept, 2]
            start, end = features.starts[number : number + 2]
            assert features.tokens[start:end].tolist() == expected
            number += 1
    counted = {name: [found.texts, found.tokens] for name, found in features.cuts.items()}
    assert counted == cut and cut["passage"][0] > 0


# --- SQuAD


@pytest.mark.parametrize(
    "task, file, questions, answered",
    [("squad1", "dev-v1.1-excerpt.json", 2921, 2921), ("squad2", "dev-v2.0-excerpt.json", 2920, 0)],
)
def test_every_answer_of_squad_maps_back(
    roberta: TextEncoder, task: str, file: str, questions: int, answered: int
) -> None:
    read_ = read_questions(TASKS[task], task_folder("squad") / file, "dev")
    spans = maker(task, roberta).split("dev", read_, training=False).spans
    assert spans is not None and len(spans.rows) == len(read_.items) == questions
    exact = held = widened = 0
    seen: dict[int, bool] = {}
    labels = spans.features.labels
    for window, (first, last, holds) in zip(spans.windows, labels.astype(int).tolist()):
        row = spans.rows[window.row]
        if not holds:
            assert (first, last) == (0, 0)
            continue
        assert row.answer is not None
        text = spans.text(
            window.row,
            first - window.place + window.first,
            last - window.place + window.first,
        )
        if window.row not in seen:
            seen[window.row] = True
            held += 1
            exact += text == row.answer.strip()
            widened += text != row.answer.strip()
        assert row.answer.strip() in text
    with_answer = sum(row.answer is not None for row in spans.rows)
    assert held + spans.lost == with_answer and spans.lost == 0
    assert with_answer == (answered or sum(bool(q.answers) for q in read_.items))
    assert (exact, widened) == (with_answer - spans.widened, spans.widened)
    # The others begin or end within a token, such as "1990" in "1990s".
    assert widened <= 0.02 * with_answer


@given(st.integers(1, 300), st.integers(4, 60), st.integers(1, 80))
def test_windows_cover_a_passage(tokens: int, room: int, stride: int) -> None:
    starts = window_starts(tokens, room, stride)
    covered = set()
    for start in starts:
        covered |= set(range(start, min(start + room, tokens)))
    assert covered == set(range(tokens))
    assert all(start + room < tokens for start in starts[:-1])
    assert set(np.diff(starts).tolist()) <= {min(stride, room)}


def test_windows_of_a_long_passage(tmp_path: Path) -> None:
    encoder = models.small_encoder(tmp_path)
    passage = "  the quick brown fox — jumps over  the lazy dog. " * 6
    start = passage.index("lazy", 150)
    row = SpanRow("q", "who is lazy?", passage, "lazy dog", start)
    config = WindowConfig(length=40, stride=10, question_length=5)
    spans = span_features(encoder, "roberta", config, [row])
    assert spans.features.cuts["question"].tokens > 0
    assert int(spans.features.sizes.max()) == 40
    holding = [n for n, label in enumerate(spans.features.labels) if label[2] == 1]
    assert 1 <= len(holding) < len(spans.windows)
    for number in holding:
        window = spans.windows[number]
        first, last, _ = spans.features.labels[number].astype(int).tolist()
        place = window.first - window.place
        assert spans.text(0, first + place, last + place).startswith("lazy dog")
        assert int(spans.starts[0][first + place]) == start


def test_a_question_without_an_answer_points_to_the_first_token(roberta: TextEncoder) -> None:
    row = SpanRow("q", "who?", "nobody", None)
    config = WindowConfig(length=40, stride=8, question_length=8)
    spans = span_features(roberta, "roberta", config, [row])
    assert spans.features.labels.tolist() == [[0.0, 0.0, 0.0]]


def context_of(windows: list[tuple[int, int]], number: int, place: int) -> bool:
    """Whether a window is the one whose answers from a place of the passage count, slowly: of the
    windows (first token, tokens) that hold it the one with the most tokens on its poorer side."""
    best = -1.0
    chosen = -1
    for other, (first, count) in enumerate(windows):
        if first <= place < first + count:
            score = min(place - first, first + count - 1 - place) + 0.01 * count
            if score > best:
                best, chosen = score, other
    return chosen == number


@given(st.integers(1, 60), st.integers(3, 20), st.integers(1, 12), st.integers(0, 2**31))
def test_answers_are_those_of_the_window_with_most_context(
    tokens: int, room: int, stride: int, seed: int
) -> None:
    """The answer of a question over its windows against plain loops over all of them."""
    longest = 6
    draw = np.random.default_rng(seed)
    passage = " ".join(f"w{n}" for n in range(tokens))
    places = [passage.index(f"w{n}") for n in range(tokens)]
    ends = [start + len(f"w{n}") for n, start in enumerate(places)]
    shapes = [(first, min(room, tokens - first)) for first in window_starts(tokens, room, stride)]
    rows = tuple(SpanRow(name, "?", passage) for name in "ab")
    windows = [Window(row, first, 2, count) for row in range(2) for first, count in shapes]
    table = draw.normal(size=(len(windows), 1 + 2 * (room + 3)))
    table[:, 0] = 0
    spans = Spans(
        Builder().build(),
        rows,
        tuple(windows),
        (np.array(places),) * 2,
        (np.array(ends),) * 2,
        0,
        0,
    )
    split = Split("dev", Read(()), spans.features, spans)
    found = span_answers(split, table, longest).best_texts()

    for row in range(2):
        best, text = -np.inf, ""
        for number, (first, count) in enumerate(shapes):
            logits = table[row * len(shapes) + number, 1:].reshape(-1, 2)[2 : 2 + count]
            tried = [sorted(range(count), key=lambda n: -logits[n, side])[:20] for side in (0, 1)]
            for begin in tried[0]:
                for end in tried[1]:
                    score = logits[begin, 0] + logits[end, 1]
                    fits = begin <= end < begin + longest
                    if fits and context_of(shapes, number, first + begin) and score > best:
                        best, text = score, passage[places[first + begin] : ends[first + end]]
        assert found[row] == text


# --- candidates of WSC


def test_candidates(tmp_path: Path) -> None:
    encoder = models.small_encoder(tmp_path)
    text = "the fox saw the dog because it, the lazy one, jumps"
    rows = [
        Referent("0", text, "the fox", 0, "it", 6, 1),
        Referent("1", text, "the dog", 3, "it", 6, 0),
        Referent("2", "it jumps over", "it", 0, "it", 0, 1),
    ]
    assert other_candidates(rows[0], ["the dog", "the fox saw", "fox", "it", "The Dog"]) == [
        "the dog"
    ]
    training = candidate_features(encoder, 48, rows, training=True)
    assert training.ids == ("0",) and training.cuts["unused"].texts == 2
    assert np.diff(training.items).tolist() == [2]
    assert training.truth is not None
    for number, phrase in enumerate(["the fox", "the dog"]):
        start, end = training.starts[number : number + 2]
        sentence = encoder.tokenizer.decode(training.truth[start + 1 : end - 1].tolist())
        assert sentence == f"the fox saw the dog because {phrase}, the lazy one, jumps"
        masked = training.tokens[start:end] == encoder.roles["mask"]
        assert masked.sum() == len(encoder.ids([f" {phrase}"])[0])
    found = candidate_features(encoder, 48, rows, training=False)
    assert np.diff(found.items).tolist() == [2, 2, 1]
    chunked = candidate_features(encoder, 48, rows, True, lambda text: ["the lazy one", "The Dog"])
    assert np.diff(chunked.items).tolist() == [3, 3]
    short = candidate_features(encoder, 20, rows, training=False)
    assert int(short.sizes.max()) <= 20 and short.cuts["sentence"].tokens > 0


@pytest.fixture
def no_spacy_yet() -> Iterator[None]:
    """Whatever is found of spaCy is forgotten."""
    spacy_chunks.cache_clear()
    yield
    spacy_chunks.cache_clear()


def stand_in(monkeypatch: pytest.MonkeyPatch, models_there: tuple[str, ...]) -> list[str]:
    """A module in the place of spaCy, whose English models find each `the` with the word after it;
    returns the names that it is asked for."""
    asked = []

    def load(name: str) -> object:
        asked.append(name)
        if name not in models_there:
            raise OSError(f"[E050] Can't find model '{name}'.")

        def pipeline(text: str) -> object:
            found = re.findall(r"the \w+", text)
            return SimpleNamespace(noun_chunks=[SimpleNamespace(text=one) for one in found])

        return pipeline

    monkeypatch.setitem(sys.modules, "spacy", SimpleNamespace(load=load))
    return asked


@pytest.mark.usefixtures("no_spacy_yet")
def test_noun_phrases_of_spacy_are_candidates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = stand_in(monkeypatch, ("en_core_web_sm",))
    chunks = spacy_chunks()
    assert chunks is not None
    assert asked == ["en_core_web_lg", "en_core_web_md", "en_core_web_sm"]
    assert chunks("the fox saw the dog") == ["the fox", "the dog"]

    row = Referent("0", "the fox saw the dog because it jumps", "the fox", 0, "it", 6, 1)
    items = Read((row,))
    encoder = models.small_encoder(tmp_path)
    split = maker("wsc", encoder, 48).split("train", items, training=True)
    assert split.dropped == 0 and np.diff(split.features.items).tolist() == [2]
    features = split.features
    assert features.truth is not None
    start, end = features.starts[1:3]
    sentence = encoder.tokenizer.decode(features.truth[start + 1 : end - 1].tolist())
    assert sentence == "the fox saw the dog because the dog jumps"


@pytest.mark.usefixtures("no_spacy_yet")
@pytest.mark.parametrize("there", [False, True])
def test_without_spacy_or_a_model_a_row_alone_has_no_candidate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    if there:
        stand_in(monkeypatch, ())
    else:
        monkeypatch.setitem(sys.modules, "spacy", None)
    assert spacy_chunks() is None
    row = Referent("0", "the fox saw the dog because it jumps", "the fox", 0, "it", 6, 1)
    encoder = models.small_encoder(tmp_path)
    split = maker("wsc", encoder, 48).split("train", Read((row,)), training=True)
    assert (len(split.features), split.dropped) == (0, 1)


# --- rows


@given(st.lists(st.integers(2, 40), min_size=1, max_size=30), st.integers(1, 5))
def test_batches_hold_every_sequence_once(sizes: list[int], per_item: int) -> None:
    builder = Builder()
    value = 4
    sequences = []
    for size in sizes:
        sequences.append(np.arange(value, value + size, dtype=np.int32))
        value += size
    for first in range(0, len(sizes), per_item):
        builder.add(str(first), sequences[first : first + per_item], float(first))
    features = builder.build()
    items = np.arange(len(features))[::-1].copy()
    batch = make_batch(features, items, {"pad": 1})

    flat = batch.ids.reshape(-1)
    done = 0
    for place, item in enumerate(items):
        for option in range(int(features.items[item + 1] - features.items[item])):
            number = int(batch.options[place, option])
            assert number == done
            first, size = int(batch.firsts[number]), int(batch.sizes[number])
            expected = sequences[int(features.items[item]) + option]
            assert flat[first : first + size].tolist() == expected.tolist()
            done += 1
    assert done == len(sizes) and int((batch.ids != 1).sum()) == sum(sizes)
    assert batch.labels[:, 0].tolist() == features.labels[items, 0].tolist()
    assert batch.ids.shape[1] == -(-max(sizes) // 8) * 8
    assert batch.lengths.sum(1).max() <= batch.ids.shape[1]
    # The lengths of a row are those of its sequences in their order.
    for row in range(len(batch.ids)):
        ends = np.cumsum([0, *batch.lengths[row].tolist()])
        firsts = sorted(int(f) for f in batch.firsts if int(f) // batch.ids.shape[1] == row)
        assert firsts == [row * batch.ids.shape[1] + int(e) for e in ends[: len(firsts)]]


def test_batches_are_the_same_on_any_ranks() -> None:
    order = TaskOrder(3, 37)
    whole = [batch_items(order, Share(12, 12), number)[0].tolist() for number in range(9)]
    for ranks, micro in ((2, 3), (3, 4), (4, 1)):
        for number, expected in enumerate(whole):
            parts = []
            for rank in range(ranks):
                share = Share(12, micro, rank, ranks)
                parts += [part.tolist() for part in batch_items(order, share, number)]
            assert [item for part in parts for item in part] == expected
    flat = [item for batch in whole for item in batch]
    assert sorted(flat[:37]) == list(range(37)) and flat[:37] != flat[37:74]


def test_predicting_takes_every_item_once() -> None:
    builder = Builder()
    for number, size in enumerate([5, 40, 7, 40, 12]):
        builder.add(str(number), [np.full(size, 4, np.int32)], NONE)
    groups = by_length(builder.build(), 2)
    assert [group.tolist() for group in groups] == [[1, 3], [4, 2], [0]]


def test_qnli_by_ranking(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    rows = [
        ("who jumps", "the fox jumps", "entailment"),
        ("who jumps", "the dog is lazy", "not_entailment"),
        ("who is lazy", "the lazy dog", "entailment"),
        ("what", "brown", "not_entailment"),
    ]
    lines = [f"{n}\t{a}\t{b}\t{label}\n" for n, (a, b, label) in enumerate(rows)]
    path.write_text("index\tquestion\tsentence\tlabel\n" + "".join(lines))
    encoder = models.small_encoder(tmp_path / "tokenizer")
    settings = preset("qnli")
    settings = type(settings)(**{**vars(settings), "ranking": type(settings.ranking)(qnli=True)})
    made = Maker(TASKS["qnli"], encoder, models.config("roberta"), settings)
    features = made.split("train", read(TASKS["qnli"], path, "train"), training=True).features
    assert features.ids == ("0", "2") and np.diff(features.items).tolist() == [2, 2]
    texts = []
    for start, end in zip(features.starts, features.starts[1:]):
        ids = features.tokens[start:end]
        texts.append(encoder.tokenizer.decode(ids.tolist(), skip_special_tokens=False))
    assert texts == [
        "<s>who jumps</s></s>the fox jumps</s>",
        "<s>who jumps</s></s>the dog is lazy</s>",
        "<s>who is lazy</s></s>the lazy dog</s>",
        "<s>who is lazy</s></s>brown</s>",
    ]
