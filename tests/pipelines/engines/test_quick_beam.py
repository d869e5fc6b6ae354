"""The Beam of the tests answers as Beam does (tests/helpers/quick_beam.py)."""

import apache_beam as beam
import pytest
import quick_beam
from apache_beam.options.pipeline_options import (
    DebugOptions,
    PipelineOptions,
    SetupOptions,
    StandardOptions,
)
from apache_beam.runners.portability.fn_api_runner import fn_runner  # noqa: F401  what it waits for
from apache_beam.transforms import userstate


@pytest.fixture(autouse=True)
def remembering() -> None:
    quick_beam.remember()
    assert quick_beam.remembers


FLAGS = [
    [],
    ["--runner=SparkRunner", "--experiments=a", "--experiments=b"],
    ["--save_main_session"],
]


@pytest.mark.parametrize("flags", FLAGS, ids=" ".join)
@pytest.mark.parametrize("kind", [StandardOptions, DebugOptions, SetupOptions])
def test_a_view_is_what_its_class_makes(flags: list[str], kind: type[PipelineOptions]) -> None:
    for _ in range(2):
        found = PipelineOptions(flags).view_as(kind)
        assert type(found) is kind
        assert vars(found._visible_options) == vars(kind(flags)._visible_options)


def test_views_of_one_object_share_what_is_set_and_others_do_not() -> None:
    options = PipelineOptions(["--experiments=a"])
    options.view_as(DebugOptions).experiments.append("mine")
    options.view_as(StandardOptions).runner = "Mine"
    assert options.view_as(DebugOptions).experiments == ["a", "mine"]
    assert options.view_as(StandardOptions).runner == "Mine"

    other = PipelineOptions(["--experiments=a"])
    assert other.view_as(DebugOptions).experiments == ["a"]
    assert other.view_as(StandardOptions).runner is None


class Counting(beam.DoFn):  # type: ignore[misc]  # Beam has no types
    """A DoFn with state."""

    COUNT = userstate.BagStateSpec("count", beam.coders.VarIntCoder())

    def process(self, element: int, count: object = beam.DoFn.StateParam(COUNT)) -> list[int]:
        return [element]


class Plain(beam.DoFn):  # type: ignore[misc]
    """A DoFn without state."""

    def process(self, element: int) -> list[int]:
        return [element]


def test_state_is_found_every_time() -> None:
    for _ in range(2):
        assert userstate.get_dofn_specs(Counting()) == ({Counting.COUNT}, set())
        assert userstate.get_dofn_specs(Plain()) == (set(), set())
        assert userstate.get_dofn_specs(beam.Map(str).dofn) == (set(), set())
