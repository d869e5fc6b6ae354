"""What the command line says about the engine that a job runs on.

The options are read as they stand on the command line, so no Beam is imported here: the commands
ask these questions before they know whether a stage will run.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

STALL_S = float(os.environ.get("CORPUSMILL_ENGINE_STALL_S", "0"))
"""Seconds of silence of all workers after which a job is ended. 0: 90 s, and on Dataflow, whose
machines take minutes to start, 1,200 s."""

DOCS = "docs/spark.md"

DEFAULT = "FnApiRunner"

_IN_THREADS = ("PrismRunner", "DirectRunner", "SwitchingDirectRunner", "BundleBasedDirectRunner")
"""Runners whose workers are threads of the process that submits, unless an environment is named."""


@dataclass(frozen=True)
class Engine:
    """Beam's options, as far as they tell where the work is done.

    `runner` is the name of the runner's class; `options` are all options, their names with
    underscores, "" for one without a value.
    """

    runner: str
    options: dict[str, str] = field(default_factory=dict)

    @property
    def in_process(self) -> bool:
        """True for the default: one machine, in this process and the children of its pool."""
        mode = self.options.get("direct_running_mode", "in_memory")
        return self.runner == DEFAULT and mode == "in_memory"

    @property
    def shares_process(self) -> bool:
        """True when the engine's workers are threads of this process, so that they share one pool
        of children."""
        if self.runner == DEFAULT:
            return self.options.get("direct_running_mode") != "multi_processing"

        environment = self.options.get("environment_type", "").upper()
        if environment or self.jar:
            return environment == "LOOPBACK"
        if self.runner == "SparkRunner":
            return self.has_local_spark
        if self.runner == "FlinkRunner":
            return self.options.get("flink_master", "[auto]") in ("[auto]", "[local]")
        return self.runner in _IN_THREADS

    @property
    def has_local_spark(self) -> bool:
        """True when Spark runs inside the job server (`local[4]`), not on a cluster."""
        master = self.options.get("spark_master_url", "local[4]")
        return re.match(r"local(\[.+\])?$", master) is not None

    @property
    def jar(self) -> str | None:
        """The file to write the job to, as one executable jar, instead of running it."""
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
        """Seconds of silence after which a job is ended."""
        if self.jar:
            return 600.0  # writing a jar of some hundred MB is one long silence
        if STALL_S:
            return STALL_S
        return 1200.0 if self.runner == "DataflowRunner" else 90.0


def engine_of(arguments: Sequence[str]) -> Engine:
    """The engine that a command line's options for Beam name."""
    options = {}
    for argument, following in zip(arguments, [*arguments[1:], "--"]):
        if not argument.startswith("--"):
            continue

        # `--name=value`, or `--name value`, or a flag that another option follows.
        name, equals, value = argument[2:].partition("=")
        if not equals and not following.startswith("--"):
            value = following
        options[name.replace("-", "_")] = value

    # The runner may be named in full, as a module and a class.
    runner = options.get("runner", "").rpartition(".")[2]
    return Engine(runner or DEFAULT, options)
