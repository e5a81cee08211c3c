"""JSON objects of several callers, read as one table: to read 32 at once takes as long as three by themselves."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain

from contract.table import ParsedRows
from gateway.metrics import Metrics
from gateway.models.serving_versions import ServingVersions
from gateway.requests.payload import Payload, json_payload


@dataclass(frozen=True, slots=True)
class JointCaller:
    """One caller's share of the joint rows.

    Attributes:
        place: of the caller among all that were to be read together.
        begin: position of its first row in the joint table; there is a row for each of its objects.
        end: position behind its last row.
        first_number: that its first row has among all objects, from 1.
    """

    place: int
    begin: int
    end: int
    first_number: int


@dataclass(frozen=True, slots=True, eq=False)
class JointRows:
    """The rows of the callers whose objects are all well.

    Attributes:
        payload: the objects of all callers, those at fault too.
        rows: of these callers, by the live contract; without faults.
        callers: whose rows they are, in their order.
    """

    payload: Payload
    rows: ParsedRows
    callers: Sequence[JointCaller]


def read_together(groups: Sequence[Sequence[object]], serving: ServingVersions, metrics: Metrics) -> JointRows | None:
    """The rows of those groups in which nothing is at fault; each of the others is to be read by itself.

    None where there are none, or they cannot be read together: one of them may be why, whatever it is.
    """
    payload = json_payload(list(chain.from_iterable(groups)))
    try:
        with metrics.stage("parse"):
            parsed = payload.read(serving.model.contract, serving.others)
    except Exception:  # noqa: BLE001 - whose fault it is shows when each is read by itself
        return None
    callers = _without_faults(groups, {fault.row or 0 for fault in parsed.faults})
    if not callers:
        return None
    return JointRows(payload, _rows_of(callers, parsed), callers)


def _without_faults(groups: Sequence[Sequence[object]], bad: Collection[int]) -> list[JointCaller]:
    callers, begin, number = list[JointCaller](), 0, 1
    for place, objects in enumerate(groups):
        end, next_number = begin + len(objects), number + len(objects)
        if objects and not (bad and any(each in bad for each in range(number, next_number))):
            callers.append(JointCaller(place, begin, end, number))
            begin = end
        number = next_number
    return callers


def _rows_of(callers: Sequence[JointCaller], parsed: ParsedRows) -> ParsedRows:
    rows = callers[-1].end
    if rows == parsed.table.rows:
        return ParsedRows(parsed.table, (), rows)
    numbers = [each.first_number + at for each in callers for at in range(each.end - each.begin)]
    return ParsedRows(parsed.table.take(parsed.table.row_numbers.searchsorted(numbers)), (), rows)
