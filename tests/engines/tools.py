"""What the engines need beside this checkout's own environment, made once and kept in a cache: an
environment with Beam 2.62 and pyspark, the jar of the Spark runner, Prism, and Beam's boot program.

    python tests/engines/tools.py        makes all of it, and prints where it lies

The cache is CORPUSMILL_ENGINES, else ~/.cache/corpusmill/engines; every part lies under a name that
holds the digest of what it is made from, so that a change makes it anew.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
POM = ROOT / "tests" / "engines" / "spark-pom.xml"
CONSTRAINTS = ROOT / "constraints-spark.txt"
SPARK_PACKAGES = ("apache-beam", "pyspark")
OTHER_SPARK = "pyspark==3.4.4"
GO_VERSION = "v2.77.0"
GO_TOOLS = {
    "prism": "github.com/apache/beam/sdks/v2/go/cmd/prism",
    "container": "github.com/apache/beam/sdks/v2/python/container",
}
DEADLINE_S = 1200.0


class Missing(Exception):
    """A tool of the machine is not there, or cannot make what it should."""


@dataclass(frozen=True)
class Tools:
    """`python`: of the environment with Beam 2.62; `pyspark`: its Spark; `jar`: job server and
    runner; `prism`, `boot`: programs."""

    python: Path
    pyspark: Path
    jar: Path
    prism: Path
    boot: Path


def cache() -> Path:
    """Where everything is kept."""
    return Path(
        os.environ.get("CORPUSMILL_ENGINES") or Path.home() / ".cache" / "corpusmill" / "engines"
    )


def _run(*command: object, env: dict[str, str] | None = None) -> None:
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            env=env,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise Missing(f"{' '.join(words[:4])}: not done within {DEADLINE_S:.0f} s") from None
    if done.returncode:
        raise Missing(
            f"{' '.join(words)}: exit {done.returncode}\n{(done.stdout + done.stderr)[-2000:]}"
        )


def _needs(program: str, remedy: str) -> str:
    found = shutil.which(program) or (
        shutil.which("/usr/local/go/bin/go") if program == "go" else None
    )
    if found is None:
        raise Missing(f"{program}: not found; {remedy}")
    return found


def _kept(kind: str, made_from: bytes, make: Callable[[Path], None]) -> Path:
    """A folder of the cache, made by `make(folder)` unless it is there; half-made ones have another
    name."""
    folder = cache() / f"{kind}-{hashlib.blake2b(made_from, digest_size=6).hexdigest()}"
    if (folder / ".done").exists():
        return folder
    started = time.monotonic()
    print(f"making {folder}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make(folder)
    (folder / ".done").touch()
    print(f"made {folder} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return folder


def spark_environment() -> Path:
    """The environment with Beam 2.62, pyarrow 16 and pyspark 3.5; without corpusmill, which is
    found by PYTHONPATH."""

    if sys.version_info >= (3, 13):
        raise Missing("apache-beam 2.62 needs Python 3.10 to 3.12: make matrix PYTHON=python3.11")

    def make(folder: Path) -> None:
        requirements = folder / "requirements.txt"
        requirements.write_text(
            "".join(
                line
                for line in CONSTRAINTS.read_text().splitlines(keepends=True)
                if not line.startswith("#")
            )
        )
        if shutil.which("uv"):
            _run(
                "uv",
                "venv",
                "--quiet",
                "--seed",
                "--allow-existing",
                "--python",
                sys.executable,
                folder,
            )
            _run(
                "uv",
                "pip",
                "install",
                "--quiet",
                "--python",
                folder / "bin" / "python",
                "--requirement",
                requirements,
            )
        else:
            _run(sys.executable, "-m", "venv", folder)
            _run(
                folder / "bin" / "python",
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--requirement",
                requirements,
            )

    return _kept("spark-environment", CONSTRAINTS.read_bytes() + sys.version.encode(), make)


def other_spark() -> Path:
    """pyspark of a minor version that the jar is not made for, for a cluster of its own."""

    def make(folder: Path) -> None:
        if shutil.which("uv"):
            _run(
                "uv",
                "venv",
                "--quiet",
                "--seed",
                "--allow-existing",
                "--python",
                sys.executable,
                folder,
            )
            _run(
                "uv",
                "pip",
                "install",
                "--quiet",
                "--python",
                folder / "bin" / "python",
                OTHER_SPARK,
            )
        else:
            _run(sys.executable, "-m", "venv", folder)
            _run(
                folder / "bin" / "python",
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                OTHER_SPARK,
            )

    return next(
        _kept("other-spark", OTHER_SPARK.encode() + sys.version.encode(), make).glob(
            "lib/python3*/site-packages/pyspark"
        )
    )


def spark_jar() -> Path:
    """The job server, shaded by Maven."""

    def make(folder: Path) -> None:
        _needs("java", "install Java 17 (Debian: apt-get install openjdk-17-jdk-headless)")
        _run(
            _needs("mvn", "install Maven (Debian: apt-get install maven)"),
            "-q",
            "-B",
            "package",
            "-f",
            POM,
            f"-Dout={folder}",
        )

    return _kept("jar", POM.read_bytes(), make) / "spark-job-server-2.62.0.jar"


def go_tool(name: str) -> Path:
    """Prism or Beam's boot program, by `go install`."""

    def make(folder: Path) -> None:
        go = _needs("go", "install Go 1.25 or later (https://go.dev/dl)")
        _run(
            go,
            "install",
            f"{GO_TOOLS[name]}@{GO_VERSION}",
            env={**os.environ, "GOBIN": str(folder)},
        )

    return _kept(name, f"{GO_TOOLS[name]}@{GO_VERSION}".encode(), make) / name


def tools() -> Tools:
    """Everything. Raises `Missing` with what to install."""
    _needs("java", "install Java 17 (Debian: apt-get install openjdk-17-jdk-headless)")
    environment = spark_environment()
    python = environment / "bin" / "python"
    pyspark = next(environment.glob("lib/python3*/site-packages/pyspark"))
    return Tools(
        python=python,
        pyspark=pyspark,
        jar=spark_jar(),
        prism=go_tool("prism"),
        boot=go_tool("container"),
    )


if __name__ == "__main__":
    try:
        for key, value in vars(tools()).items():
            print(f"{key}: {value}")
    except Missing as error:
        sys.exit(f"error: {error}")
