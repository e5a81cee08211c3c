import json
import re
from html.parser import HTMLParser

import pytest
from jinja2 import UndefinedError

from contract.schema import Contract
from tests.training.report.subjects import subject
from tests.training.rows import SCHEMA
from training.report.document import Document, document
from training.report.page import page, report_files
from training.schema import parse_schema

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
VOID = {"meta", "br", "link", "img"}


class Tags(HTMLParser):
    """Collects what a page is made of, and refuses tags that do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile() -> Contract:
    """The small contract with a category whose name and values are markup."""
    text = SCHEMA.replace("[columns.channel]", f"[columns.{json.dumps(HOSTILE)}]")
    return parse_schema(text).contract({HOSTILE: ("chip", HOSTILE, "online")})


@pytest.fixture(scope="module")
def report() -> Document:
    """A report whose every text is hostile."""
    made = document(subject(hostile()))
    made["by_column"][HOSTILE][0]["name"] = HOSTILE
    return made | {"notes": [HOSTILE], "data": made["data"] | {"source": HOSTILE}, "rivals_left_out": HOSTILE}


def test_the_page_is_well_formed(report: Document) -> None:
    """Every tag closes in its order."""
    assert Tags(page(report)).open == []


def test_the_page_needs_nothing_else(report: Document) -> None:
    """No script, no request, and a policy that forbids both."""
    tags = Tags(page(report)).seen
    assert not {tag for tag, _ in tags} & {"script", "link", "img", "iframe", "object", "form", "image", "use", "a"}
    for _, attributes in tags:
        assert not {name for name in attributes if name in {"src", "href", "xlink:href"} or name.startswith("on")}
    assert not re.search(r"@import|url\(|https?://", page(report))
    assert (
        "meta",
        {"http-equiv": "Content-Security-Policy", "content": "default-src 'none'; style-src 'unsafe-inline'"},
    ) in tags


def test_text_of_the_data_is_text(report: Document) -> None:
    """A column, a value, a note and a file's name that look like markup are shown as they are."""
    text = page(report)
    assert HOSTILE not in text
    assert Tags(text).text.count(HOSTILE) >= 4


def test_every_chart_says_what_it_means(report: Document) -> None:
    """Six figures, each with a name for who cannot see it and a sentence."""
    tags = [tag for tag, _ in Tags(page(report)).seen]
    assert tags.count("svg") == tags.count("figure") == tags.count("figcaption") == 6
    assert all(attributes.get("aria-label") for tag, attributes in Tags(page(report)).seen if tag == "svg")


def test_the_page_is_a_function_of_the_json(report: Document) -> None:
    """What is read back from the JSON gives the same page."""
    files = report_files(report)
    assert page(json.loads(files["report.json"])).encode() == files["report.html"]


def test_without_an_amount_it_is_said_why_there_is_no_cost(report: Document) -> None:
    """No column of amounts: the curve is left out with the reason."""
    changed = report | {"amount": {"column": None, "why": "nothing is named like one"}, "costs": None}
    assert "No cost curve: no column is known to be the amount" in page(changed)


def test_a_better_baseline_is_named(report: Document) -> None:
    """Where another model is better beyond chance, the page says so in a sentence of its own."""
    rivals = [baseline | {"difference": [-0.2, -0.1]} for baseline in report["rivals"]]
    assert "Better than this version here: gradient-boosted trees, logistic regression." in page(
        report | {"rivals": rivals}
    )


@pytest.mark.parametrize("name", ["version", "test", "bands", "importance", "settings"])
def test_what_the_document_lacks_is_an_error(report: Document, name: str) -> None:
    """A template that names what is not there fails; it does not leave a gap."""
    with pytest.raises((KeyError, UndefinedError)):
        page({key: value for key, value in report.items() if key != name})


def test_a_missing_value_is_a_dash(report: Document) -> None:
    """A figure that could not be computed is None in the document."""
    without = page(report | {"test": report["test"] | {"expected_calibration_error": None}})
    assert without.count("–") > page(report).count("–")  # noqa: RUF001 - the dash of the page.
