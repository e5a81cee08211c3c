"""The settings that our pages name, and where the page of a platform says that each is set."""

import re
from collections.abc import Iterator
from pathlib import Path

from gateway.settings import GatewaySettings

DOCS = Path(__file__).parents[2] / "docs"
SETTING = re.compile(r"`([A-Z]+(?:_[A-Z]+)+|HISTORY)(?:=[^`]*)?`")
NOWHERE = {
    "LOG_FILE": "logs are the platform's",
    "LOG_STREAM": "likewise",
    "MODEL_NAME": "one name everywhere",
    "CUDA_VISIBLE_DEVICES": "the platform hands out GPUs",
    "FRAUD_STACK": "a mark of `fraud up`",
    "KEEPER_PORT": "its Service's, and its image's",
}
"""Settings that an operator of a platform has no use for, and why."""


def settings() -> set[str]:
    """Those of the sections on settings and on signed archives, and all of the gateway's."""
    sections = [section("runbook", "Settings"), section("runbook", "Signed archives"), section("schedule", "Settings")]
    named = {name for text in sections for name in SETTING.findall(text)}
    assert {"DEADLINE_SECONDS", "MODEL_VERIFY_KEY", "RETRAIN_MARGIN", "CLEAN_DAYS"} <= named
    return (named | {name.upper() for name in GatewaySettings.model_fields}) - NOWHERE.keys()


def places(page: str) -> dict[str, set[str]]:
    """The table under "Settings" of a platform's page: the settings by the name in a row's first cell."""
    return {place: set(SETTING.findall(cells)) for place, cells in _rows(section(page, "Settings"))}


def section(page: str, title: str) -> str:
    """What stands on a page under a title."""
    text = (DOCS / f"{page}.md").read_text()
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return str(found)


def _rows(text: str) -> Iterator[tuple[str, str]]:
    for row in re.findall(r"^\|(.*)\|$", text, re.MULTILINE):
        cells = row.split("|")
        if name := re.search(r"`([a-z-]+)`", cells[0]):
            yield name[1], cells[-1]
