"""How the cuts of an earlier build are kept when inputs are added."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from corpora.document import Part, Slice
from pipelines.home.summaries import Summary
from pipelines.stages.source_tasks import keep_cuts


def part(name: str) -> Part:
    """A file of this name."""
    return Part(address=f"/in/{name}", path=name, size=1)


def slices(*named: str) -> list[Slice]:
    """One slice for each string; its letters are the files."""
    return [Slice(parts=tuple(map(part, letters))) for letters in named]


def ingested(*named: str) -> list[Summary]:
    """The summaries of such slices."""
    return [
        Summary(
            stage="ingest", source="a", slice=piece.name, path=piece.key[0], start=piece.key[1],
            fingerprint="", output="", output_bytes=0, counts={},
        )
        for piece in slices(*named)
    ]  # fmt: skip


def letters(pieces: list[Slice]) -> list[str]:
    """The slices as strings again."""
    return ["".join(part.path for part in piece.parts) for piece in pieces]


def test_files_that_come_behind_form_a_slice_of_their_own() -> None:
    assert letters(keep_cuts(slices("abcd", "ef"), ingested("ab"))) == ["ab", "cd", "ef"]
    assert letters(keep_cuts(slices("abcdef"), ingested("ab", "cd"))) == ["ab", "cd", "ef"]
    assert letters(keep_cuts(slices("abc"), [])) == ["abc"]


def test_a_file_between_others_opens_their_slice_alone() -> None:
    assert letters(keep_cuts(slices("abcde"), ingested("ac", "de"))) == ["abc", "de"]
    assert letters(keep_cuts(slices("xabc"), ingested("ab", "c"))) == ["x", "ab", "c"]


def test_a_file_that_is_gone_opens_its_slice_alone() -> None:
    assert letters(keep_cuts(slices("acd"), ingested("ab", "cd"))) == ["a", "cd"]
    assert letters(keep_cuts(slices("bcd"), ingested("ab", "cd"))) == ["b", "cd"]


def cut(names: list[str], ends: set[int]) -> list[str]:
    """Names in slices that end behind these places."""
    pieces = [""]
    for place, name in enumerate(names):
        pieces[-1] += name
        if place in ends:
            pieces.append("")
    return [piece for piece in pieces if piece]


alphabet = "abcdefghijkl"
ends = st.sets(st.integers(0, len(alphabet)))
files = st.sets(st.sampled_from(alphabet))


@given(files.filter(bool), ends, files, ends, st.randoms())
def test_cuts_kept_for_any_files(
    before: set[str], old_ends: set[int], more: set[str], new_ends: set[int], random: Random
) -> None:
    old = cut(sorted(before), old_ends)
    everything = sorted(before | more)
    planned = keep_cuts(slices(*cut(everything, new_ends)), ingested(*old))

    # Every file once, in order.
    assert "".join(letters(planned)) == "".join(everything)
    # An old slice stays unless a new file lies between its own.
    for piece in old:
        between = [name for name in more - before if piece[0] < name < piece[-1]]
        assert (piece in letters(planned)) == (not between)

    # Planning again while slices are done, in any order, changes nothing.
    now_done = [piece for piece in letters(planned) if piece in old or random.random() < 0.5]
    again = keep_cuts(slices(*cut(everything, new_ends)), ingested(*now_done))
    assert letters(again) == letters(planned)
