"""docs/dataflow.md: every option is one that Beam has, and the template's pipeline is a build.
Nothing here reaches a cloud."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from apache_beam.internal import pickler
from apache_beam.options.pipeline_options import GoogleCloudOptions, SetupOptions, WorkerOptions
from apache_beam.pipeline import PipelineVisitor

from pipelines import beam as stages
from pipelines.cli import main
from pipelines.commands.flags import parse_with_recipe
from pipelines.engines import options as engines_options
from pipelines.engines.options import DEFAULT_RUNNER, known_options
from pipelines.home.layout import Home, write_recipe
from pipelines.recipe import load_recipe

TRANSFORMS = [name for name in stages.__all__ if name != "options"]
ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/dataflow.md").read_text("utf-8")
RECIPE = (
    '[sources.novels]\nkind = "files"\ninput = "{folder}/*.txt"\n[tokenizer]\nvocab_size = 400\n'
    "sample_bytes = 50000\n"
)


class Functions(PipelineVisitor):
    """Every DoFn and CombineFn of a graph, by the label of its step."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def visit_transform(self, applied: Any) -> None:
        if hasattr(applied.transform, "fn"):
            self.found[applied.full_label] = applied.transform.fn


def command(beginning: str) -> list[str]:
    """The words of the page's command that begins so, with names in the place of the capitals."""
    (found,) = [
        text
        for text in re.findall(r"^\$ (.*?[^\\])$", PAGE, re.MULTILINE | re.DOTALL)
        if text.startswith(beginning)
    ]
    names = {
        "PROJECT": "my-project-1",
        "BUCKET": "bucket1",
        "REGION": "us-central1",
        "REPOSITORY": "images",
    }
    return shlex.split(
        re.sub("|".join(names), lambda match: names[match[0]], found.replace("\\\n", " "))
    )


def beam_arguments(tmp_path: Path) -> list[str]:
    (tmp_path / "recipe.toml").write_text(RECIPE.format(folder=tmp_path))
    words = command("corpus build")
    _, run, found = parse_with_recipe(
        "build",
        [str(tmp_path / "recipe.toml") if word == "recipe.toml" else word for word in words[2:]],
    )
    assert run.home == "gs://bucket1/home" and run.workers == 1
    return found


def test_every_option_of_the_build_is_known_and_means_something(tmp_path: Path) -> None:
    options = engines_options.options(beam_arguments(tmp_path))
    assert options.view_as(GoogleCloudOptions).project == "my-project-1"
    assert options.view_as(GoogleCloudOptions).staging_location == "gs://bucket1/dataflow/staging"
    worker = options.view_as(WorkerOptions)
    assert (
        worker.sdk_container_image == "us-central1-docker.pkg.dev/my-project-1/images/corpusmill:1"
    )
    assert (
        worker.machine_type,
        worker.disk_size_gb,
        worker.num_workers,
        worker.max_num_workers,
    ) == ("n2-standard-4", 100, 10, 100)
    assert options.view_as(SetupOptions).sdk_location == "container"
    assert not set(options.get_all_options()["experiments"] or []) - {"use_runner_v2"}


def test_every_option_that_the_page_names_is_known() -> None:
    named = set(re.findall(r"`(--[a-z_]+)", PAGE)) - {"--workers"}
    assert len(named) > 10 and named <= known_options(), named - known_options()


def test_the_template_names_what_its_program_takes() -> None:
    (metadata,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    parameters = {parameter["name"] for parameter in json.loads(metadata)["parameters"]}
    program = (ROOT / "docs/flex_template.py").read_text("utf-8")
    assert parameters == set(re.findall(r'add_argument\("--(\w+)", required=True', program))
    (given,) = [
        word
        for word in command("gcloud dataflow flex-template run")
        if word.startswith("--parameters=")
    ]
    names = {pair.split("=")[0] for pair in given.removeprefix("--parameters=").split(",")}
    assert parameters <= names and {f"--{name}" for name in names - parameters} <= known_options()


@pytest.mark.long
def test_the_template_s_program_builds_the_same_shards(some_novels: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(folder=some_novels))
    program = [
        sys.executable,
        str(ROOT / "docs/flex_template.py"),
        f"--recipe={recipe}",
        f"--home={tmp_path / 'home'}",
        f"--runner={DEFAULT_RUNNER}",
    ]
    ran = subprocess.run(
        program,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert main(["build", str(recipe), "--home", str(tmp_path / "built"), "--workers", "0"]) == 0
    built = {
        path.name: path.read_bytes()
        for path in (tmp_path / "built" / "shards").iterdir()
        if path.name != "README.md"
    }
    assert {
        path.name: path.read_bytes() for path in (tmp_path / "home" / "shards").iterdir()
    } == built


@pytest.mark.parametrize("name", TRANSFORMS)
def test_dataflow_s_runner_builds_the_graph(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each stage, and of a whole build with rules and near dedup; every step's function as Beam
    pickles it. Only where apache-beam[gcp] is installed: development does without."""
    pytest.importorskip("google.cloud.storage", reason="apache-beam[gcp] is not installed")
    import apache_beam as beam

    monkeypatch.setenv("NO_GCE_CHECK", "true")  # else it waits for a machine of the cloud to answer

    home = "gs://bucket1/home"
    if name == "Build":  # its graph depends on the recipe
        home = str(tmp_path / "home")
        (tmp_path / "all.toml").write_text(
            RECIPE.format(folder=tmp_path).replace(
                "[tokenizer]", '[sources.novels.rules]\nprofile = "gopher"\n[tokenizer]'
            )
        )
        write_recipe(Home(home), load_recipe(str(tmp_path / "all.toml")))
    pipeline = beam.Pipeline(
        options=engines_options.options([*beam_arguments(tmp_path), "--dry_run=True"])
    )
    start = (
        pipeline
        if name in ("Survey", "Ingest", "Build")
        else pipeline | "Start" >> beam.Create([0])
    )
    start | name >> getattr(stages, name)(home)
    functions = Functions()
    pipeline.visit(functions)
    for label, function in functions.found.items():
        assert type(pickler.loads(pickler.dumps(function))) is type(function), label
    if name == "Build":
        built = {label.split("/")[1] for label in functions.found}
        assert built >= set(TRANSFORMS) - {"Build", "Survey"}  # no source is read twice
    assert str(pipeline.run().state) == "DONE"
