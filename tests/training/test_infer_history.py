"""The history that a first schema proposes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.training.conftest import TINY
from training.infer import infer_schema
from training.schema import parse_schema
from training.simulator import simulate
from training.train import TrainRequest, train

ROWS = 1500


DAYS = 100


def _frame(days: float = DAYS, /, **columns: object) -> pd.DataFrame:
    """Payments of sixty cards within some days; columns that are None are left out."""
    rng = np.random.default_rng(5)
    amount = rng.lognormal(3, 1, ROWS)
    seconds = np.sort(rng.integers(0, round(days * 86_400), ROWS))
    frame = {
        "when": (pd.Timestamp("2026-01-01") + pd.to_timedelta(seconds, unit="s")).strftime("%Y-%m-%dT%H:%M:%S"),
        "card": [f"c{number}" for number in rng.integers(0, 60, ROWS)],
        "amount": np.round(amount, 2),
        "fraud": (amount > np.quantile(amount, 0.9)).astype(int),
    }
    return pd.DataFrame({name: cells for name, cells in (frame | columns).items() if cells is not None})


def _names(frame: pd.DataFrame, directory: Path) -> list[str]:
    frame.to_csv(directory / "rows.csv", index=False)
    return [window.name for window in parse_schema(infer_schema(directory / "rows.csv")).contract({}).history]


def test_an_entity_gets_counts_means_risks_and_the_time_since(tmp_path: Path) -> None:
    """Over a day, a week and a month, of the column that is called an amount."""
    assert _names(_frame(), tmp_path) == [
        *("card.count.1d/1h", "card.count.7d/1h", "card.count.30d/1h"),
        *("card.mean(amount).1d/1h", "card.mean(amount).7d/1h", "card.mean(amount).30d/1h"),
        *("card.since_last.30d/1h", "card.ratio(amount).30d/1h"),
        *("card.sum(amount).30d/1h", "card.std(amount).30d/1h", "card.max(amount).30d/1h"),
        *("card.risk.7d-7d/1h", "card.risk.30d-7d/1h"),
    ]


@pytest.mark.parametrize(
    ("days", "windows", "risks"),
    [
        (100, "1d 7d 30d", "7d 30d"),
        (60, "6h 1d 7d", "7d"),
        (20, "6h 1d 7d", ""),
        (3, "1h 6h 1d", ""),
        (0.05, "10m", ""),
    ],
)
def test_windows_fit_twice_into_the_time_of_the_file(days: float, windows: str, risks: str, tmp_path: Path) -> None:
    """A longer one would grow in service beyond all that training saw; a risk has the delay of labels too."""
    names = _names(_frame(days), tmp_path)
    lengths = [name.split(".")[-1].split("/")[0] for name in names if ".count." in name]
    assert " ".join(lengths) == windows
    assert " ".join(name.split(".")[-1].split("-")[0] for name in names if ".risk." in name) == risks


def test_all_windows_of_an_entity_share_one_state(tmp_path: Path) -> None:
    """Short windows need short buckets: the long ones and the risks then have the same."""
    for days in (100, 40, 20, 3):
        assert len({name.split("/")[1] for name in _names(_frame(days), tmp_path)}) == 1


def test_a_file_of_minutes_has_no_history(tmp_path: Path) -> None:
    """Nothing fits into it twice."""
    assert _names(_frame(0.01), tmp_path) == []


def test_the_delay_is_as_long_as_labels_took(tmp_path: Path) -> None:
    """Where the file says since when labels are known, nine of ten frauds are known by the delay of a risk."""
    frame = _frame()
    known = pd.to_datetime(frame["when"]) + pd.Timedelta(days=11.5)
    names = _names(frame.assign(confirmed_at=known.dt.strftime("%Y-%m-%dT%H:%M:%S")), tmp_path)
    assert [name for name in names if ".risk." in name] == ["card.risk.7d-12d/1h", "card.risk.30d-12d/1h"]


def test_without_an_amount_the_transactions_are_counted(tmp_path: Path) -> None:
    """What is called anything else is not averaged."""
    names = _names(_frame(amount=None, reading=np.arange(ROWS) % 97 * 1.5), tmp_path)
    assert "card.count.7d/1h" in names
    assert not [name for name in names if "reading" in name]


def test_seconds_are_times_too(tmp_path: Path) -> None:
    """A time in seconds from any moment gives windows as well as a date does."""
    assert _names(_frame(when=None, Time=np.arange(ROWS) * 700.0), tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"when": None},
        {"card": None},
        {"card": [f"c{row}" for row in range(ROWS)]},
        {"card": [f"c{row}" if row else "c1" for row in range(ROWS)]},
        {"card": ""},
    ],
)
def test_no_past_no_history(change: dict[str, object], tmp_path: Path) -> None:
    """Without a time, without entities, and of those that appear once or never, there is nothing to remember."""
    assert _names(_frame(**change), tmp_path) == []


def test_only_so_many_entities_get_a_history(tmp_path: Path) -> None:
    """Each costs state and time in serving: the first three in the file have one."""
    others = {f"{name}_id": [f"x{row % 40}" for row in range(ROWS)] for name in ("shop", "device", "email")}
    names = _names(_frame(**others), tmp_path)
    assert {name.split(".")[0] for name in names} == {"card", "shop_id", "device_id"}


def test_names_with_any_characters_survive(tmp_path: Path) -> None:
    """Quotes, dots and umlauts in the name of an entity come through the TOML."""
    name = 'Kärtchen "A" no.'
    cards = [f"4111-{row % 40:04}-1111-1111" for row in range(ROWS)]
    assert f"{name}.count.1d/1h" in _names(_frame(card=None, **{name: cards}), tmp_path)


def test_an_inferred_history_trains_without_edits(tmp_path: Path, handler: Path) -> None:
    """From a file to a version with history features, and nothing was written by hand."""
    simulate(TINY).to_csv(tmp_path / "rows.csv", index=False)
    version = train(TrainRequest(1, tmp_path / "store", data=tmp_path / "rows.csv", epochs=2, handler=handler))
    assert {window.entity for window in version.contract.history} == {"customer_id", "terminal_id"}
    assert version.card.history["average_precision"].keys() == {"with", "without", "neutral"}
