"""Text that is written in several ways and means the same: quotes around it, case, blanks, underscores and hyphens.

What a column does with them is its `match` (`contract.schema.TextMatch`).
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache

MAX_UNQUOTED = 1_000
QUOTES = frozenset("'\"")
SEPARATORS = re.compile(r"[\s_-]+")


def unquoted(text: str) -> str:
    """The text without the pairs of quotes around it, and without the blanks around and within them.

    One of more than MAX_UNQUOTED characters is no name, and left as it is: each pair of quotes costs its length.
    """
    text = text.strip()
    while 1 < len(text) <= MAX_UNQUOTED and text[0] == text[-1] and text[0] in QUOTES:
        text = text[1:-1].strip()
    return text


def all_unquoted(texts: Sequence[str]) -> Sequence[str]:
    """Each of the stripped texts as `unquoted` gives it."""
    joined = "".join(texts)
    return list(map(unquoted, texts)) if "'" in joined or '"' in joined else texts


def normal_form(text: str) -> str:
    """What all ways of writing a text have in common; it is its own normal form.

    Without quotes, in lower case (`str.casefold`), and each run of blanks, underscores and hyphens as one underscore.
    """
    return SEPARATORS.sub("_", unquoted(text).casefold())


def are_values(values: tuple[str, ...], texts: Sequence[str]) -> bool:
    """Whether each text is one of the values as it is, or empty: the usual case."""
    return _exactly(values).issuperset(texts)


def known_spellings(values: tuple[str, ...], texts: Sequence[str]) -> list[str]:
    """Each text as the value that it equals or whose normal form it has; any other as its own normal form.

    The values' normal forms differ, and none of the values has quotes around it.
    """
    known = _by_form(values)
    return [known[text] if text in known else _spelling(known, text) for text in texts]


@cache
def _exactly(values: tuple[str, ...]) -> frozenset[str]:
    return frozenset({"", *values})


@cache
def _by_form(values: tuple[str, ...]) -> Mapping[str, str]:
    return {normal_form(value): value for value in values} | {value: value for value in ("", *values)}


def _spelling(known: Mapping[str, str], text: str) -> str:
    form = normal_form(text)
    return known.get(form, form)
