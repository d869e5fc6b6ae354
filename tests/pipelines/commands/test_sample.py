"""`corpus sample`: text that every Python has, as a folder to build from."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.commands import sample

Corpus = Callable[..., tuple[int, str, str]]


def test_the_language_and_the_library_become_files(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "library"
    (library / "pack" / "test").mkdir(parents=True)
    long = " ".join(["A sentence that says what the module does."] * 10)
    (library / "pack" / "__init__.py").write_text(f'"""{long}"""\nraise SystemExit\n')
    (library / "one.py").write_text(
        f'"""One\n====\n\n{long}"""\ndef f():\n    """What f does."""\nclass C:\n    pass\n'
    )
    (library / "short.py").write_text('"""Too short."""\n')
    (library / "_private.py").write_text(f'"""{long}"""\n')
    (library / "pack" / "test" / "case.py").write_text(f'"""{long}"""\n')
    monkeypatch.setattr(sample.sysconfig, "get_paths", lambda: {"stdlib": str(library)})

    code, out, err = corpus("sample", tmp_path / "texts")
    names = sorted(path.name for path in (tmp_path / "texts").iterdir())
    topics = [name for name in names if name.startswith("topic-")]
    assert (code, out) == (0, "")
    assert err.startswith(f"{len(names)} files, ") and err.endswith(f"text in {tmp_path}/texts\n")
    assert [name for name in names if name not in topics] == ["one.txt", "pack.txt"]
    assert len(topics) > 70 and "topic-while.txt" in topics
    text = (tmp_path / "texts" / "one.txt").read_text()
    assert text == f"One\n\n{long}\n\nf\n\nWhat f does.\n"


def test_a_folder_with_something_in_it_is_left_alone(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for target in (tmp_path, tmp_path / "mine.txt"):
        code, _, err = corpus("sample", target)
        assert (code, err) == (
            2,
            f"error: {target}: it is not an empty folder\nhint: name a new folder\n",
        )
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
