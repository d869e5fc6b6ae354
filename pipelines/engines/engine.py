"""The engine that a job runs on, seen from outside: what is asked before a job goes out, what a
worker checks and says while it works, and when a silent job is ended.

An engine can wait for ever without a word: for a job server that is not there, for a worker that
stands still. So every port is probed before it is waited for, every worker says every `BEAT_S` that
it lives, by a file below the home, and a job none of whose workers has said anything for `STALL_S`
is ended with a line that says so. A worker ends a child of its own that stands still
(`workers.STALL_S`); this is for the workers themselves.

No Beam here: the options are read as they stand on the command line.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

STALL_S = float(os.environ.get("CORPUSMILL_ENGINE_STALL_S", "0"))
"""A job whose workers have said nothing for so long is ended; 0: 90 s, and on Dataflow, whose
machines take minutes to start, 1,200 s."""

DOCS = "docs/spark.md"


@dataclass(frozen=True)
class Engine:
    """Beam's options, as far as they say where work is done. `options`: names with underscores ->
    values."""

    runner: str
    options: dict[str, str] = field(default_factory=dict)

    @property
    def in_process(self) -> bool:
        """True for the default: one machine, in this process and the children of its pool."""
        return (
            self.runner == "FnApiRunner"
            and self.options.get("direct_running_mode", "in_memory") == "in_memory"
        )

    @property
    def shares_process(self) -> bool:
        """True when the engine's workers are threads of this process, so that they share one pool
        of children."""
        environment = self.options.get("environment_type", "").upper()
        if self.runner == "FnApiRunner":
            return self.options.get("direct_running_mode") != "multi_processing"
        if environment or self.options.get("output_executable_path"):
            return environment == "LOOPBACK"
        if self.runner == "SparkRunner":
            return self._local_master
        if self.runner == "FlinkRunner":
            return self.options.get("flink_master", "[auto]") in ("[auto]", "[local]")
        return self.runner in (
            "PrismRunner",
            "DirectRunner",
            "SwitchingDirectRunner",
            "BundleBasedDirectRunner",
        )

    @property
    def _local_master(self) -> bool:
        return (
            re.match(r"local(\[.+\])?$", self.options.get("spark_master_url", "local[4]"))
            is not None
        )

    @property
    def jar(self) -> str | None:
        """Where the job is to be written as one executable jar, instead of being run."""
        return self.options.get("output_executable_path") or None

    @property
    def starts_java(self) -> bool:
        """True when Beam starts a job server of its own for the job."""
        return (
            self.runner in ("SparkRunner", "FlinkRunner")
            and not self.options.get("job_endpoint")
            and "spark_submit_uber_jar" not in self.options
            and not self.options.get("job_server_java_launcher")
        )

    @property
    def stall_s(self) -> float:
        """Seconds of silence after which a job is ended. Writing a jar of some hundred MB is one
        long silence."""
        if self.jar:
            return 600.0
        return STALL_S or (1200.0 if self.runner == "DataflowRunner" else 90.0)


def engine_of(arguments: Sequence[str]) -> Engine:
    """The engine that a command line's options for Beam name."""
    options = {}
    for argument, following in zip(arguments, [*arguments[1:], "--"]):
        if argument.startswith("--"):
            name, equals, value = argument[2:].partition("=")
            options[name.replace("-", "_")] = (
                value if equals else "" if following.startswith("--") else following
            )
    return Engine(options.get("runner", "FnApiRunner").rpartition(".")[2] or "FnApiRunner", options)
