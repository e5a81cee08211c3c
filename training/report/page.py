"""The report as one HTML page that needs nothing else: no script, no font, no image, no request.

A page is a function of the document alone. `templates/base.html` and `style.css` know nothing of reports: another page
of this project extends the same base. A name that a template misspells is an error, and every text is escaped.
"""

import json
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from training.report import charts, formatting

FILTERS = (
    formatting.share,
    formatting.number,
    formatting.fixed,
    formatting.interval,
    formatting.moment,
    formatting.verdict,
)


def page(report: Mapping[str, Any]) -> str:
    """The page of a document as `training.report.document` makes it."""
    templates = Environment(
        loader=PackageLoader("training.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {each.__name__: each for each in FILTERS}
    return templates.get_template("report.html").render(report=report, charts=charts.figures(report))


def report_files(report: Mapping[str, Any]) -> dict[str, bytes]:
    """The document and its page, by the names that they have in an archive."""
    text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return {"report.json": text.encode(), "report.html": page(report).encode()}
