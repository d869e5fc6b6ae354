"""The peak of a GPU by its exact name, never by a part of it."""

import pytest

from trainer.metrics import KINDS, PEAKS, kind_of

NAMES = [
    ("NVIDIA H200", "H200", 989e12),
    ("NVIDIA H100 80GB HBM3", "H100", 989e12),
    ("NVIDIA H100 PCIe", "H100 PCIe", 756e12),
    ("NVIDIA H100 NVL", "H100 NVL", 835e12),
    ("NVIDIA H20", "H20", 148e12),
    ("NVIDIA A100-SXM4-80GB", "A100", 312e12),
    ("NVIDIA A100 80GB PCIe", "A100", 312e12),
    ("NVIDIA L40", "L40", 181e12),
    ("NVIDIA L4", "L4", 121e12),
    ("NVIDIA B200", "B200", 2250e12),
    ("NVIDIA GeForce RTX 4090", "RTX 4090", 165.2e12),
    ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada", 364e12),
    ("Tesla V100-SXM2-16GB", "V100", 125e12),
    ("Tesla T4", "T4", 65e12),
]


@pytest.mark.parametrize("name, kind, peak", NAMES)
def test_devices_by_name(name: str, kind: str, peak: float) -> None:
    assert kind_of(name) == kind and PEAKS[kind] == peak


@pytest.mark.parametrize(
    "name", ["NVIDIA A1000", "NVIDIA RTX A1000", "NVIDIA A10G", "NVIDIA T400", "NVIDIA H100", ""]
)
def test_a_name_that_is_not_known_has_no_peak(name: str) -> None:
    assert kind_of(name) is None


def test_every_name_has_a_peak() -> None:
    assert set(KINDS.values()) <= set(PEAKS)
