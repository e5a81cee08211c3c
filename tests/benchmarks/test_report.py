"""The page of results, from a run that was kept: quick_results.json is one of `make bench BENCH_FLAGS=--quick`."""

import shutil
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.comparison.results import BenchResults, Measurement
from benchmarks.comparison.systems import SYSTEMS
from benchmarks.comparison.workloads import SINGLES_32

KEPT = Path(__file__).parent / "comparison" / "quick_results.json"


@pytest.fixture
def results() -> BenchResults:
    """Of this service and three peers."""
    return BenchResults.load(KEPT)


def measured(system: str, rate: float, workload: str = SINGLES_32.name, number: int = 0) -> Measurement:
    """A second of a load."""
    good = int(rate)
    return Measurement(system, workload, number, good, good, 1, 1.0, 1e3 / rate, 2e3 / rate, {"200": good})


def row(text: str, begin: str) -> list[str]:
    """The cells of the first row of a table that begins so."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {begin} |"))
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_each_system_has_its_lines(results: BenchResults) -> None:
    """All that was measured stands in the tables, and who was not measured is named as such, with the reason."""
    text = report.as_text(results)
    for each in {(m.system, m.workload) for m in results.measurements}:
        assert each[0] in text.partition(f"### {each[1]}\n")[2].partition("\n### ")[0]
    for system in SYSTEMS:
        is_measured = any(each.system == system.name for each in results.measurements)
        assert row(text.partition("### Who is compared")[2], system.name)[-1] == ("yes" if is_measured else "**no**")
    assert "Ray Serve: could not be installed" in text


def test_a_line_is_the_median_of_its_rounds(results: BenchResults) -> None:
    """With the least and the most beside it; one bad round changes little."""
    rounds = [measured("ours", rate, number=n) for n, rate in enumerate((100, 10, 110))]
    text = report.as_text(replace(results, measurements=rounds))
    assert row(text.partition(f"### {SINGLES_32.name}")[2], "ours")[1] == "100 (10 to 110)"


@pytest.mark.parametrize(("ours", "verdict"), [(210, "yes"), (190, "**no**")])
def test_a_goal_is_judged_by_its_ratio(results: BenchResults, ours: float, verdict: str) -> None:
    """At least twice the peer's rate; without the peer nothing is said."""
    both = [measured("ours", ours), measured("FastAPI + torch", 100)]
    goals = report.as_text(replace(results, measurements=both))
    assert row(goals, "1 row, 32 callers: at least 2 times FastAPI's JSON")[-1] == verdict
    alone = report.as_text(replace(results, measurements=both[:1]))
    assert row(alone, "1 row, 32 callers: at least 2 times FastAPI's JSON")[1:] == ["not measured", ""]


def test_a_degraded_answer_misses_its_goal(results: BenchResults) -> None:
    """Also one of a file that was sent beside."""
    degraded = replace(measured("ours", 100), uploads={"200": 3, "degraded": 1})
    assert row(report.as_text(replace(results, measurements=[degraded])), "0 degraded answers in all loads")[1:] == [
        "1",
        "**no**",
    ]


def test_the_page_is_written_between_its_markers(results: BenchResults, tmp_path: Path) -> None:
    """Writing it again changes nothing; what stands around stays; each plot has a bar for each system."""
    page = tmp_path / "performance.md"
    shutil.copy(report.PAGE, page)
    report.write_page(results, page, tmp_path)
    first = page.read_text()
    report.write_page(results, page, tmp_path)
    assert page.read_text() == first
    assert first.partition(report.BEGIN)[0] == report.PAGE.read_text().partition(report.BEGIN)[0]
    for name, workload in report.PLOTTED.items():
        bars = ET.parse(tmp_path / name).getroot().iter("{http://www.w3.org/2000/svg}rect")  # noqa: S314 - made here
        assert len(list(bars)) == len(report.lines(results, workload.name))
        assert name in first


def test_results_come_back_as_they_were_saved(
    results: BenchResults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every figure, under the time of the run and as the latest."""
    monkeypatch.setattr("benchmarks.comparison.results.FOLDER", tmp_path)
    monkeypatch.setattr("benchmarks.comparison.results.LATEST", tmp_path / "latest.json")
    file = results.save()
    assert BenchResults.load(file) == BenchResults.load(tmp_path / "latest.json") == results
