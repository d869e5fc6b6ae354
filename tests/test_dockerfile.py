"""The image's steps, checked as files, since no container engine runs here."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from shards.config import parse_toml

ROOT = Path(__file__).resolve().parents[1]


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) of the Dockerfile, comments gone and continued lines joined."""
    text = "\n".join(
        line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")
    )
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def arguments_of(name: str) -> list[str]:
    return [arguments for instruction, arguments in instructions() if instruction == name]


def copies() -> list[tuple[str | None, list[str]]]:
    """(image or None, sources) of each COPY."""
    found = []
    for arguments in arguments_of("COPY"):
        words = shlex.split(arguments)
        image = words[0].removeprefix("--from=") if words[0].startswith("--from=") else None
        found.append((image, words[1 if image else 0 : -1]))
    return found


def locked(name: str) -> str:
    """The version of a package in constraints.txt."""
    versions = re.findall(
        rf"^{re.escape(name)}==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE
    )
    assert len(versions) == 1, f"{name}: {versions}"
    return str(versions[0])


def project() -> dict[str, Any]:
    return parse_toml((ROOT / "pyproject.toml").read_text(), "pyproject.toml")


def ignored(path: str) -> bool:
    """True for what .dockerignore keeps out: its last matching line decides."""
    out = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip().removeprefix("!")
        if (
            pattern
            and not pattern.startswith("#")
            and (pattern == "*" or path == pattern or path.startswith(pattern + "/"))
        ):
            out = not line.startswith("!")
    return out


def test_every_copied_file_is_there_and_not_ignored() -> None:
    sources = [source for image, names in copies() if image is None for source in names]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not ignored(source), source


def test_every_package_of_the_project_is_copied() -> None:
    copied = {source for image, names in copies() if image is None for source in names}
    patterns = project()["tool"]["setuptools"]["packages"]["find"]["include"]
    packages = {pattern.removesuffix("*") for pattern in patterns}
    assert packages and packages <= copied


def test_what_the_build_of_the_project_reads_is_copied() -> None:
    copied = {source for image, names in copies() if image is None for source in names}
    assert {"pyproject.toml", project()["project"]["readme"], "constraints.txt"} <= copied


@pytest.mark.parametrize("path", [".git", ".venv", "tests", "demo", "benchmarks/results"])
def test_what_is_no_part_of_the_image_is_ignored(path: str) -> None:
    assert ignored(path)


def test_beam_is_that_of_the_lock_and_python_the_same_everywhere() -> None:
    [base] = arguments_of("FROM")
    minor = re.fullmatch(r"python:(3\.\d+)-slim", base)
    assert minor, base
    [image] = [image for image, _ in copies() if image]
    assert image == f"apache/beam_python{minor[1]}_sdk:{locked('apache-beam')}"
    low, high = re.fullmatch(
        r">=3\.(\d+),<3\.(\d+)", project()["project"]["requires-python"]
    ).groups()  # type: ignore[union-attr]
    assert int(low) <= int(minor[1].split(".")[1]) < int(high)


def test_the_lock_and_known_extras_are_installed() -> None:
    installs = [step for step in arguments_of("RUN") if "pip install" in step]
    [locked_install] = [step for step in installs if ".[" in step]
    assert "--constraint constraints.txt" in locked_install
    extras = re.search(r"\.\[([a-z,]+)\]", locked_install)
    assert extras
    known = project()["project"]["optional-dependencies"]
    assert set(extras[1].split(",")) <= set(known)


def test_the_worker_is_the_entry_point_and_both_commands_are_installed() -> None:
    [entry] = arguments_of("ENTRYPOINT")
    boot = json.loads(entry)
    assert boot == ["/opt/apache/beam/boot"]
    assert any(image and Path(boot[0]).is_relative_to(names[0]) for image, names in copies())
    assert set(project()["project"]["scripts"]) == {"corpus", "corpus-boot", "trainer"}
    assert not arguments_of("CMD")


def test_the_commands_in_its_comments_name_what_is_there() -> None:
    comments = [
        line
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("#   docker run")
    ]
    entries = [match[1] for line in comments if (match := re.search(r"--entrypoint (\S+)", line))]
    assert entries == ["corpus", "trainer"]
