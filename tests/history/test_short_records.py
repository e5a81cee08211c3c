"""The bytes of states: what is written is read, whichever forms follow each other."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from history.layout import MAX_BUCKET, RecordLayout, Records
from history.short_records import decode_records, encode_records

LAYOUTS = (
    RecordLayout("card", "time", 3600),
    RecordLayout("card", "time", 3600, ("a", "b"), ("a",), ("b",), last=True),
    RecordLayout("shop", "time", 3600, sets=("kind",), delay=60),
    RecordLayout("shop", "time", 3600, ("a",), ("a",), ("a",), ("kind", "place"), last=True, delay=60),
)
NUMBERS = st.floats(allow_nan=False)
SIZES = st.lists(st.integers(0, 5), min_size=1, max_size=6)


@st.composite
def records_of(draw: st.DrawFn, layout: RecordLayout, size: int) -> Records:
    """Records of single transactions, some of which are merged, fraudulent, or lack a number."""

    def numbers(kind: st.SearchStrategy[float]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        return np.array(draw(st.lists(kind, min_size=size, max_size=size)), dtype=np.float64)

    columns = {column: numbers(NUMBERS | st.just(np.nan)) for column in layout.sums}
    texts = st.lists(st.sampled_from(["", "x", "y", "z"]), min_size=size, max_size=size)
    columns |= {column: np.array(draw(texts), dtype=object) for column in layout.sets}
    buckets = numbers(st.integers(1 - MAX_BUCKET, MAX_BUCKET - 1).map(float)).astype(np.int64)
    with np.errstate(over="ignore"):
        records = layout.records(columns, buckets, numbers(NUMBERS))
    for name, change in (("count", 1), ("frauds", 1)):
        if name in layout.fields:
            records[name] += numbers(st.sampled_from([0.0, 0.0, float(change)])).astype(np.int32)
    return records


def ordered(records: Records) -> list[bytes]:
    """The bytes of each, in no order of their own."""
    return sorted(record.tobytes() for record in records)


@given(layout=st.sampled_from(LAYOUTS), sizes=SIZES, data=st.data())
def test_what_is_encoded_is_decoded_bit_by_bit(layout: RecordLayout, sizes: list[int], data: st.DataObject) -> None:
    """For each entity, in several appends, behind whole records as a release before wrote them."""
    states = dict.fromkeys(range(len(sizes)), b"")
    expected: dict[int, list[bytes]] = {code: [] for code in states}
    for whole in (True, False, False):
        records = data.draw(records_of(layout, sum(sizes)))
        codes = np.arange(len(sizes)).repeat(sizes)
        for code, record in zip(codes.tolist(), records, strict=True):
            expected[code].append(record.tobytes())
            states[code] += record.tobytes() if whole else b""
        if not whole:
            found, appended = encode_records(layout, codes, records)
            for code, more in zip(found.tolist(), appended, strict=True):
                states[code] += more
    stored, damaged = decode_records(layout, np.array([*map(len, states.values())]), b"".join(states.values()))
    assert not damaged.any()
    assert {code: ordered(stored.records[stored.codes == code]) for code in states} == {
        code: sorted(each) for code, each in expected.items()
    }


@given(layout=st.sampled_from(LAYOUTS), sizes=SIZES, data=st.data())
def test_a_state_that_is_cut_short_is_empty_and_the_others_are_read(
    layout: RecordLayout, sizes: list[int], data: st.DataObject
) -> None:
    """Whichever it is, and wherever it stands among them."""
    codes = np.arange(len(sizes)).repeat(sizes)
    records = data.draw(records_of(layout, sum(sizes)))
    found, appended = encode_records(layout, codes, records)
    parts = dict(zip(found.tolist(), appended, strict=True))
    at = data.draw(st.integers(0, len(sizes) - 1))
    states = [parts.get(code, b"") for code in range(len(sizes))]
    states[at] += b"xyz"
    stored, damaged = decode_records(layout, np.array([*map(len, states)]), b"".join(states))
    assert damaged.tolist() == [code == at for code in range(len(sizes))]
    assert ordered(stored.records) == ordered(records[codes != at])


def test_a_single_transaction_is_short() -> None:
    """As measured: 12 bytes of a customer of the default model, 5 of a terminal."""
    customers = RecordLayout("c", "time", 3600, ("amount",), ("amount",))
    terminals = RecordLayout("t", "time", 3600, sets=("channel",), delay=60)
    columns = {"amount": np.array([12.34]), "channel": np.array(["chip"], dtype=object)}
    records = [layout.records(columns, np.ones(1, np.int64), np.ones(1)) for layout in (customers, terminals)]
    layouts = zip((customers, terminals), records, strict=True)
    written = [encode_records(layout, np.zeros(1, np.int64), each)[1] for layout, each in layouts]
    assert [len(state) for (state,) in written] == [12, 5]
