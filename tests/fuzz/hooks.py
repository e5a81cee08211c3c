"""What schemathesis is told of this service: CSV as a type of body, and dates that are not RFC 3339's.

It loads this file by its own setting; nothing else imports it, since schemathesis is installed for `make fuzz` alone.
"""

import csv
import io
import json
from functools import partial
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from contract.dates import format_time, split_parts
from contract.schema import TimeFormat

FORMS = {"file", "files"}
MOMENTS = st.integers(-2_000_000_000, 4_000_000_000).map(float)


def csv_body(context: Any, value: Any) -> Any:  # noqa: ANN401 - schemathesis' own types are not installed
    """A file of these objects with all columns, as a file must have them; without the NUL that makes one binary.

    What is to be refused goes as the JSON that it is: most of its faults would be none in text.
    """
    if context.case.meta.generation.mode is GenerationMode.NEGATIVE or not isinstance(value, list):
        return json.dumps(value).encode()
    columns = next(csv.reader(io.StringIO(example_of(context.case), newline="")))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys([*columns, *(name for row in value for name in row)])))
    writer.writeheader()
    writer.writerows({name: as_text(cell) for name, cell in row.items()} for row in value)
    return text.getvalue().replace("\0", "0").encode()


def example_of(case: Any) -> str:  # noqa: ANN401 - likewise
    """The file that the document shows; a batch is of such files too."""
    path = "/upload" if case.path == "/predict/batch" else case.path
    content = case.operation.schema.raw_schema["paths"][path]["post"]["requestBody"]["content"]
    return str(content["text/csv"]["example"])


def as_text(value: Any) -> str:  # noqa: ANN401 - any cell
    """A value as it is written in a file."""
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def as_it_is_meant(_: Any, case: Any, __: Any) -> None:  # noqa: ANN401 - likewise
    """What the document cannot say: what a form's file holds, and that `skip` is the wish that bad rows be accepted."""
    if case.meta.generation.mode is GenerationMode.NEGATIVE:
        if isinstance(case.query, dict) and case.query.get("on_error") == "skip":
            case.query["on_error"] = "refuse"
    elif case.media_type == "multipart/form-data":
        for field in FORMS & case.body.keys():
            several = isinstance(case.body[field], list)
            case.body[field] = [example_of(case)] * len(case.body[field]) if several else example_of(case)


schemathesis.serializer("text/csv")(csv_body)
schemathesis.hook("before_call")(as_it_is_meant)
for form in (TimeFormat.DAY_FIRST, TimeFormat.MONTH_FIRST, TimeFormat.YEAR_FIRST):
    texts = MOMENTS.map(partial(format_time, form))
    schemathesis.openapi.format(f"{form}-date-time", texts)
    schemathesis.openapi.format(f"{form}-date", texts.map(lambda text: split_parts(text, 2)[0]))
schemathesis.openapi.format("time-of-day", st.times().map(str))
