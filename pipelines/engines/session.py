"""A session: what the submitter tells every worker about the job, so that a worker can refuse one
that it is not fit for.

A worker on another machine may see another folder under the home's path, or have other versions of
the packages that decide the output. Both would give a wrong output without an error, so both are
checked before a worker does anything.
"""

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
from pipelines.progress.board import board
from shards.errors import UserError
from shards.storage import files

_OURS = ("corpusmill", "apache-beam", "pyarrow", "tokenizers")
"""Distributions that decide the output of every job."""


@dataclass(frozen=True)
class Session:
    """One job.

    `token` is the content of the home's `work/session`, by which a worker knows that its folder is
    the submitter's. `run` is an id of this job alone. `driver` is the submitter, as "host-pid".
    `versions` are (name, version) of Python and of the distributions that decide the output.
    """

    token: str
    run: str
    driver: str
    versions: tuple[tuple[str, str], ...]


def new_session(home: Home, packages: set[str]) -> Session:
    """A session for one job over a home; `packages` are distributions that decide the output,
    besides those that always do."""
    token = read_token(home)
    if not token:
        token = secrets.token_hex(16)
        files.write_bytes(home.file("work", "session"), token.encode())

    return Session(
        token=token,
        run=secrets.token_hex(8),
        driver=this_worker(),
        versions=_versions(tuple(sorted(packages))),
    )


def read_token(home: Home) -> str:
    """The content of a home's `work/session`; "" when there is none."""
    try:
        return files.read_bytes(home.file("work", "session")).decode()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _versions(packages: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    major, minor = sys.version_info[:2]
    versions = {"Python": f"{major}.{minor}"}
    for name in (*_OURS, *packages):
        try:
            versions[name] = package_versions(name)[name]
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "none"
    return tuple(versions.items())


def this_worker() -> str:
    """This process, as "host-pid"."""
    return f"{socket.gethostname()}-{os.getpid()}"


@lru_cache(maxsize=64)
def check_worker(home_root: str, session: Session) -> None:
    """In a worker: check once per job that it is fit for it, and begin a board of its own.

    Raises `UserError` (exit 3) when its folder is not the submitter's, or its packages differ.
    """
    # The display begins the driver's board; a worker elsewhere has no display.
    if this_worker() != session.driver:
        board.begin("")

    if read_token(Home(home_root)) != session.token:
        raise UserError(
            f"{home_root}: on the worker {socket.gethostname()} this is not the submitter's folder",
            "put the home on a disk that all workers share, at one path, or at s3://, gs://, "
            f"hdfs://; {DOCS}",
            3,
        )

    packages = tuple(name for name, _ in session.versions if name != "Python")
    mine = dict(_versions(packages))
    for name, wanted in session.versions:
        if mine[name] != wanted:
            raise UserError(
                f"the worker {socket.gethostname()} has {name} {mine[name]}, the submitter "
                f"{wanted}: the output would differ",
                f"install the submitter's versions there: one constraints file for both; {DOCS}",
                3,
            )
