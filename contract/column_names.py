"""Which columns of a header, or keys of an object, are meant by the names of a contract.

A name is matched as it is, else by an alias, else without regard to case and to what stands between its words
(`Customer ID`, `customerId` and `customer-id` are customer_id), where only one name can be meant.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from contract.normal_forms import normal_form

BETWEEN = re.compile(r"[_./]+")
BACKTICK = "`"
"""In which databases quote names."""
PLAIN_NAME = re.compile(r"[^\W\d_]+\d{0,3}(?:[ _.\-/][^\W\d_]*\d{0,3})*")
"""Words of letters, each with a short number at its end."""
NAME_CHARACTERS, NAME_DIGITS = 64, 4
"""The most that a plain name has."""
UNNAMED = re.compile(r"(?:Unnamed: \d+)?")
"""What a column without a name is called, by pandas at last."""
SIMILAR = 0.6
MAX_MATCHED = 2_000


def name_form(name: str) -> str:
    """A name's normal form without what stands between its words: `customerId` has nothing there."""
    return BETWEEN.sub("", normal_form(name.strip(BACKTICK)))


def spellings(aliases: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """By each name and alias, as written and in normal form, the name that is meant; none where two could be.

    `aliases` are given by name.
    """
    result = {alias: name for name, each in aliases.items() for alias in (*each, name)}
    forms: dict[str, set[str]] = {}
    for spelling, name in result.items():
        forms.setdefault(name_form(spelling), set()).add(name)
    return {form: names.pop() for form, names in forms.items() if len(names) == 1} | result


def matched(names: Sequence[str], meant: Mapping[str, str]) -> list[str]:
    """The contract's name of each column, or its own where none is meant; `meant` is from :func:`spellings`.

    What is written exactly as the contract says goes first: `amount` beside `Amount` leaves the latter unknown. Of more
    than MAX_MATCHED names none is looked at twice: no table has as many, and a line of commas must hold nobody up.
    """
    if len(names) > MAX_MATCHED:
        return list(names)
    exact = {name for name in names if meant.get(name) == name}
    result = list[str]()
    for name in names:
        known = meant.get(name) or meant.get(name_form(name))
        result.append(name if known is None or (known in exact and known != name) else known)
    return result


def is_unnamed(name: str) -> bool:
    """Whether a column has no name."""
    return UNNAMED.fullmatch(name) is not None


def hint_of_unknown(name: str, known: Iterable[str], *, in_header: bool) -> str:
    """What to say of an unknown name: which it is, and what it may be meant for.

    It is repeated only where it is plainly a name: short, of words of letters which at most end in a number, with four
    digits at most, and beside a name that the contract knows (`in_header`): else it could be a value.
    """
    ways = "columns=ignore leaves out what the model does not know"
    if not in_header:
        return "none of the names is one that the model knows: GET /v1/contract lists them"
    if not _is_plain(name):
        return ways
    near = difflib.get_close_matches(name.casefold(), {each.casefold(): each for each in known}, 1, SIMILAR)
    meant = next((each for each in known if near and each.casefold() == near[0]), "")
    return f"named {name}{f', perhaps meant for {meant}' if meant else ''}; {ways}"


def _is_plain(name: str) -> bool:
    is_short = len(name) <= NAME_CHARACTERS and sum(map(str.isdigit, name)) <= NAME_DIGITS
    return is_short and PLAIN_NAME.fullmatch(name) is not None
