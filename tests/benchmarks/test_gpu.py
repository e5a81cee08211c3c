"""The GPU benchmark where there is no GPU: it invents nothing; and its ways of scoring, on the processor."""

import os
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from benchmarks.gpu import Device, GpuMeasurement
from tests.tiny import write_version


def test_without_cuda_it_says_that_it_was_not_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It ends well, prints no figure, and writes none."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(gpu, "FOLDER", tmp_path)
    gpu.main()
    assert capsys.readouterr().out == f"{gpu.NOT_RUN}\n"
    assert list(tmp_path.iterdir()) == []


def test_each_way_is_measured_or_says_why_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a processor all but the CUDA graph; the handler answers each frame, in full and in half precision."""
    monkeypatch.setattr(gpu, "SECONDS", 0.001)
    monkeypatch.setenv("HALF_PRECISION", "")
    device = Device(write_version(tmp_path / "v1"), torch.device("cpu"))
    measured = {each.way: each for each in device.measure(4)}
    assert measured.pop("bare loop, CUDA graph") == GpuMeasurement(
        "bare loop, CUDA graph", 4, None, "a graph needs CUDA"
    )
    assert set(measured) == {
        "handler, float32", "handler, half precision", "bare loop, float32", "bare loop, half precision",
        "bare loop, frozen",
    }  # fmt: skip
    assert all(each.rows_per_second and each.rows_per_second > 0 for each in measured.values())
    assert os.environ["HALF_PRECISION"] == ""


def test_the_table_has_no_figure_for_what_was_not_possible() -> None:
    """Its reason stands there instead."""
    lines = gpu.table([GpuMeasurement("a", 1000, 2.0), GpuMeasurement("b", 1000, None, "no such kernel")]).splitlines()
    assert lines[1].split() == ["1,000", "a", "2.000", "500.0"]
    assert lines[2].endswith("not possible: no such kernel")
