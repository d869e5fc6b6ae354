"""What a step of roberta-base calls on a GPU, counted on tensors without data: one product for
queries, keys and values, a fused kernel for attention, no mask and no square of scores."""

import dataclasses
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from trainer.config import load_recipe

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "traffic.py"


@pytest.fixture(scope="module")
def traffic() -> ModuleType:
    spec = importlib.util.spec_from_file_location("traffic", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def counted(traffic: ModuleType, kernel: str, rows: int = 2) -> dict[str, Any]:
    shape = dataclasses.replace(load_recipe("roberta-base").model, vocab_size=50265)
    found: dict[str, Any] = traffic.count(shape, rows, kernel)
    return found


@pytest.mark.parametrize("kernel", ["flash", "efficient"])
def test_attention_is_one_kernel_a_layer(traffic: ModuleType, kernel: str) -> None:
    found = counted(traffic, kernel)
    called = found["called"]
    assert called[f"_{kernel}_attention_forward"] == 12
    assert called[f"_{kernel}_attention_backward"] == 12
    assert not {"_softmax", "bmm", "baddbmm", "masked_fill", "where_self"} & set(called)
    # Four products a layer, one of the head and one of the vocabulary; two each on the way back.
    assert called["addmm"] == 12 * 4 + 2
    assert called["mm"] == 2 * (12 * 4 + 2)


def test_attention_reads_and_writes_lines_alone(traffic: ModuleType) -> None:
    """Queries, keys, values and the mix in bf16 and a number for each head in fp32: nothing of
    512 x 512."""
    found = counted(traffic, "flash", 64)
    forward = found["kernels"]["_flash_attention_forward"] / 12
    assert forward == pytest.approx(4 * 768 * 2 + 12 * 4, rel=0.01)
    assert found["saved_bytes_per_token"] < 420_000
    assert found["bytes_per_token"] < 4_100_000
