"""The report as one HTML page that needs nothing else: no script, no font, no image, no request.

A page is a function of the document alone. `templates/base.html` and `style.css` know nothing of reports: another page
of this project extends the same base. A name that a template misspells is an error, and every text is escaped.
"""

import json
from collections.abc import Mapping
from typing import Any

from training.report import charts
from training.report.formatting import TEMPLATES


def page(report: Mapping[str, Any]) -> str:
    """The page of a document as `training.report.document` makes it."""
    return TEMPLATES.get_template("report.html").render(report=report, charts=charts.drawings(report))


def report_files(report: Mapping[str, Any]) -> dict[str, bytes]:
    """The document and its page, by the names that they have in an archive."""
    text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return {"report.json": text.encode(), "report.html": page(report).encode()}
