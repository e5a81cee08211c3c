"""Numbers as people and programs write them: with thousands separators, a decimal comma, a currency, as accountants do.

    1201.5, 1,201.50, 1.201,50, 1 201,50, 1'201.50, 12,01,201.50 (lakh), $1,201.50, 1.201,50 EUR, (1,201.50), 1201.50-

Most texts have one reading. 1.201 and 1,201 have two: the other cells of the file say which, else the contract does,
and where neither says, such a cell is refused.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from contract.faults import CellFault, FaultCode
from contract.schema import Decimal

CURRENCIES = (
    "USD|EUR|GBP|CHF|JPY|CNY|INR|BRL|CAD|AUD|NZD|SEK|NOK|DKK|ISK|PLN|CZK|HUF|RON|BGN|TRY|RUB|UAH|ILS|AED|SAR|EGP|ZAR|"
    "NGN|KES|GHS|MAD|MXN|ARS|CLP|COP|PEN|UYU|KRW|TWD|HKD|SGD|MYR|THB|IDR|PHP|VND|PKR|BDT|LKR|KZT|GEL"
)
"""Codes of ISO 4217 that may stand beside a number."""
CURRENCY = rf"(?:(?:US|C|A|HK|S|NZ|MX|R)?\$|[€£¥₹₽₩₺₫₴₦฿₪₱₡₲₵₸₼]|{CURRENCIES}|kr\.?|zł|Kč|Ft|Fr\.|lei)"
SPACE, MINUS = r"[\s\u00a0\u202f]*+", r"[\-\u2212]"
# Possessive (*+): what is taken is not tried again in parts, or blanks between signs would cost their number's cube.
WRITTEN = re.compile(
    rf"(?P<open>\()?{SPACE}(?P<sign>\+|{MINUS})?{SPACE}(?P<before>{CURRENCY})?{SPACE}(?P<inner>{MINUS})?{SPACE}"
    rf"(?P<digits>\d(?:[\d.,'\u2019]|[ \u00a0\u202f](?=\d))*+|[.,]\d++)(?P<exponent>[eE][+-]?\d{{1,3}})?"
    rf"{SPACE}(?P<after>{CURRENCY})?{SPACE}(?P<behind>{MINUS})?{SPACE}(?P<close>\))?",
    re.ASCII,
)
GROUPING = " \u00a0\u202f'\u2019"
"""What stands between thousands besides the sign that is not the decimal one."""
THOUSAND = 3
"""Digits between its signs."""
LAKH = 2
"""Digits between all but the last of them, as in India."""


PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
"""As float() takes it."""
NumberParser = Callable[[str], float]
SIGNS = ("sign", "inner", "behind")
DIGITS = "0123456789"


@dataclass(frozen=True, slots=True)
class NumberReadings:
    """What a text says if the point is the decimal sign, and if the comma is; None where it then is no number."""

    point: float | None
    comma: float | None
    currency: str = ""

    @property
    def decimal(self) -> Decimal:
        """Which sign is the decimal one, as far as this text tells."""
        if self.point is None or self.comma is None:
            return Decimal.COMMA if self.point is None else Decimal.POINT
        return Decimal.UNKNOWN

    @property
    def is_ambiguous(self) -> bool:
        """Whether both signs make a number of it, and not the same one."""
        return self.point is not None and self.comma is not None and self.point != self.comma


def parse_number(text: str, decimal: Decimal) -> float:
    """The number that a text writes.

    Raises:
        CellFault: it is none, or it has two readings and `decimal` is unknown.
    """
    readings = readings_of(text)
    if readings is not None and decimal is Decimal.UNKNOWN and readings.is_ambiguous:
        raise CellFault(FaultCode.AMBIGUOUS_NUMBER)
    value = None if readings is None else _value(readings, decimal)
    if value is None:
        raise CellFault(FaultCode.NOT_A_NUMBER)
    return value


def readings_of(text: str) -> NumberReadings | None:
    """What a text says with either decimal sign; None where it is no number with any."""
    match = WRITTEN.fullmatch(text.strip().strip("'\""))
    if match is None or not _is_consistent(match):
        return None
    sign = "-" if match["open"] or any(match[name] not in {None, "+"} for name in SIGNS) else ""
    point, comma = (
        None if digits is None else float(f"{sign}{digits}{match['exponent'] or ''}")
        for digits in (_as_decimal(match["digits"], ".", ","), _as_decimal(match["digits"], ",", "."))
    )
    if point is None and comma is None:
        return None
    return NumberReadings(point, comma, match["before"] or match["after"] or "")


def _value(readings: NumberReadings, decimal: Decimal) -> float | None:
    if decimal is Decimal.UNKNOWN:
        return readings.comma if readings.point is None else readings.point
    return readings.point if decimal is Decimal.POINT else readings.comma


def _is_consistent(match: re.Match[str]) -> bool:
    """Whether brackets are closed, and there is one sign and one currency at most."""
    is_closed = (match["open"] is None) == (match["close"] is None)
    signs = sum(match[name] is not None for name in (*SIGNS, "open"))
    return is_closed and signs <= 1 and not (match["before"] and match["after"])


def _as_decimal(digits: str, decimal: str, other: str) -> str | None:
    """Digits as float() takes them; None where they are no number with this decimal sign."""
    whole, *fractions = digits.split(decimal)
    if len(fractions) > 1 or not all(each.isdigit() for each in fractions if each):
        return None
    between = set(whole) - set(DIGITS)
    if len(between) > 1 or not between <= {other, *GROUPING}:
        return None
    if between and not _is_grouped(whole.split(between.pop())):
        return None
    return f"{''.join(each for each in whole if each in DIGITS) or '0'}.{''.join(fractions) or '0'}"


def _is_grouped(groups: Sequence[str]) -> bool:
    """Whether a number is cut into thousands, or as in India: 12,01,201. 0.201 is a fraction."""
    first, *middle, last = groups
    if not first or first.startswith("0") or len(last) != THOUSAND:
        return False
    sizes = {len(each) for each in middle}
    return (sizes <= {THOUSAND} and len(first) <= THOUSAND) or (sizes == {LAKH} and len(first) <= LAKH)


class NumberEvidence:
    """What the cells of a file's columns of numbers say of how they are written."""

    def __init__(self) -> None:
        self._decimals = set[Decimal]()
        self._currencies: dict[str, set[str]] = {}

    def add(self, column: str, text: str) -> None:
        """Takes one cell."""
        if text and (readings := readings_of(text)) is not None:
            self._decimals.add(readings.decimal)
            self._currencies.setdefault(column, set()).add(readings.currency)

    @property
    def mixed_currencies(self) -> list[str]:
        """The columns with several currencies: their numbers are of different scales."""
        return [name for name, found in self._currencies.items() if len(found - {""}) > 1]

    @property
    def decimal(self) -> Decimal | None:
        """The decimal sign; UNKNOWN where no cell tells, None where they contradict each other."""
        found = self._decimals - {Decimal.UNKNOWN}
        if not found:
            return Decimal.UNKNOWN
        return found.pop() if len(found) == 1 else None

    def parser(self, usual: Decimal, *, plain: bool) -> NumberParser:
        """How to parse a cell: as the file says, else with the `usual` sign.

        In a `plain` file, whose fields commas separate, a number with a point is what every program takes it for.
        """
        decimal = self.decimal
        if decimal is Decimal.UNKNOWN:
            decimal = usual
            if plain and usual is Decimal.UNKNOWN:
                return _parse_plain_first
        return partial(parse_number, decimal=decimal or Decimal.UNKNOWN)


def _parse_plain_first(text: str) -> float:
    if PLAIN.fullmatch(text):
        return float(text)
    return parse_number(text, Decimal.UNKNOWN)
