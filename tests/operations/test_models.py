"""The table of `fraud models`."""

from pathlib import Path

from rich.console import Console

from operations.models import table
from operations.registry import Registry
from operations.release import Place, release


def shown(store: Path) -> str:
    """What a person sees."""
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table(store), soft_wrap=True)
    return captured.get()


def test_an_empty_store_says_what_to_do(tmp_path: Path) -> None:
    """Where nothing is, an empty table would help nobody."""
    assert shown(tmp_path / "[none]") == f"no versions in {tmp_path}/[none]; `fraud train` makes one\n"


def test_a_damaged_version_is_shown_beside_the_others(registry: Registry, place: Place) -> None:
    """One damaged entry takes nothing from the rest."""
    release(place, 1, lambda _: None)
    (registry.root / "fraud-2.json").write_text("{")
    words = [line.split() for line in shown(registry.root).splitlines()[1:]]
    assert [(line[0], line[-1]) for line in words] == [("2", "damaged"), ("1", "live")]
