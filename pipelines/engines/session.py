"""TODO-DOC pipelines/engines/session.py."""

import importlib.metadata
import os
import secrets
import socket
import sys
from dataclasses import dataclass
from functools import lru_cache

from pipelines.engines.engine import DOCS
from pipelines.home.fingerprints import package_versions
from pipelines.home.layout import Home
from pipelines.progress import board
from shards.errors import UserError
from shards.storage import files

# what the submitter hands to every worker


@dataclass(frozen=True)
class Session:
    """One job. `token`: what the home's work/session holds, so that a worker knows the home for the
    submitter's; `run`: of this job alone; `driver`: "host-pid"; `versions`: of what decides the
    output."""

    token: str
    run: str
    driver: str
    versions: tuple[tuple[str, str], ...]


def new_session(home: Home, packages: set[str]) -> Session:
    """A session for one job over a home; `packages`: distributions that decide the output, besides
    our own."""
    address = home.file("work", "session")
    token = read_token(home)
    if not token:
        token = secrets.token_hex(16)
        files.write_bytes(address, token.encode())
    return Session(token, secrets.token_hex(8), this_worker(), _versions(tuple(sorted(packages))))


def read_token(home: Home) -> str:
    """What a home's work/session holds; "" where there is none."""
    try:
        return files.read_bytes(home.file("work", "session")).decode()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _versions(packages: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    found = [("Python", "{}.{}".format(*sys.version_info))]
    for name in ("corpusmill", "apache-beam", "pyarrow", "tokenizers", *packages):
        try:
            found.append((name, package_versions(name)[name]))
        except importlib.metadata.PackageNotFoundError:
            found.append((name, "none"))
    return tuple(dict.fromkeys(found))


def this_worker() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


# in a worker


@lru_cache(maxsize=64)
def check_worker(home_root: str, session: Session) -> None:
    """Is this worker fit for the job? Raises `UserError` (exit 3): its home is another than the
    submitter's, its packages are."""
    if this_worker() != session.driver:
        board.board.begin("")
    if read_token(Home(home_root)) != session.token:
        raise UserError(
            f"{home_root}: on the worker {socket.gethostname()} this is not the submitter's folder",
            f"put the home on a disk that all workers share, at one path, or at s3://, gs://, hdfs://; {DOCS}",
            3,
        )
    mine = dict(_versions(tuple(name for name, _ in session.versions if name != "Python")))
    for name, wanted in session.versions:
        if mine[name] != wanted:
            raise UserError(
                f"the worker {socket.gethostname()} has {name} {mine[name]}, the submitter {wanted}: another output",
                f"install the submitter's versions there: one constraints file for both; {DOCS}",
                3,
            )
