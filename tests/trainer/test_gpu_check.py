"""The script of GPU checks runs on a CPU at small sizes, so that it is known to work."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.builds
def test_every_check_runs_at_small_sizes() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu_check.py"), "--small"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [*command, "--device", "cpu"], capture_output=True, text=True, env=environment
    )
    report = json.loads(ended.stdout)
    assert ended.returncode == 0 and report["ok"] and not report["failed"], report
    assert report["machine"]["device"] == "cpu" and report["small"]

    (blocks,) = report["attention"]["kernels"]
    assert blocks["kernel"] == "blocks" and blocks["value"] < 1e-5 and blocks["gradient"] < 1e-5
    assert blocks["dropout"] < 1e-5
    assert report["curves"]["fp32"]["difference"] < 1e-4
    assert report["curves"]["last"] < report["curves"]["first"]
    assert report["resume"]["same_bytes"] and report["resume"]["killed_after"] >= 1
    assert report["throughput"]["ours"]["ours_is"]["median"] == 1.0
    assert [row["micro_batch"] for row in report["fit"]["steps"]] == [2, 4]
    assert len(report["variants"]["rows"]) == 8
    assert all(row["tokens_per_second"] > 0 for row in report["variants"]["rows"])


def test_a_check_that_fails_is_named_and_the_others_go_on() -> None:
    """On a device that is not there every check that needs it fails, and the object says why."""
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu_check.py"), "--small"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [*command, "--device", "meta", "--only", "curves,attention"],
        capture_output=True,
        text=True,
        env=environment,
    )
    report = json.loads(ended.stdout)
    assert ended.returncode == 1 and report["failed"] == ["curves", "attention"]
    assert report["attention"]["error"]
