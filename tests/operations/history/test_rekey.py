"""What a release without a key remembered, or one with another key, brought to the key of today: nothing is lost."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from redis import Redis
from redis.exceptions import ResponseError

from history.journal import RECOVER
from history.keyed_hash import ADOPT_KEY, KEY_CHECK, UNKEYED, HistoryKey
from history.known_ids import FIND_TRANSACTIONS, KNOWN
from history.label_update import MONTHS, UPDATE_LABELS, LabelUpdate
from history.plan import Plan
from history.redis_schema import BLOCK, STATE
from history.transaction_blocks import keys_offset
from operations.errors import OperationsError
from operations.history import rekey as module
from operations.history.load import PREFIX, is_loaded
from operations.history.redis_access import Interrupted
from operations.history.rekey import RekeyResult, rekey
from tests.keys import KEY
from tests.operations.history.pasts import (
    CARDS,
    FIRST,
    LATER,
    assert_same,
    live,
    loaded,
    plan_of,
    read,
    redis,
    rows,
    text,
    without_labels,
)
from tests.valkey import Valkey, dump

NEWER = HistoryKey([*KEY._secrets, b"n" * 32])
OTHER = HistoryKey([b"o" * 32])
PLAN = plan_of(CARDS)
LINES = rows(1_500, days=20)
PROBE = rows(50, seed=2, days=20, first="p")
KINDS = (STATE, KNOWN, MONTHS, PREFIX)


@pytest.fixture
def valkeys(tmp_path: Path) -> Iterator[list[tuple[Valkey, Redis]]]:
    """Two of them."""
    with redis(tmp_path / "1") as first, redis(tmp_path / "2") as second:
        yield [first, second]


def remember(valkey: Valkey, client: Redis, key: HistoryKey) -> None:
    """All that leaves a digest: small and large batches, loads, claims of single layouts, and labels."""
    live(client, PLAN, without_labels(LINES[:600]), key=key)
    live(client, PLAN, without_labels(LINES[600:650]), size=50, key=key)
    loaded(valkey.url, text(LINES), PLAN, CARDS, key)
    loaded(valkey.url, text(LINES[:400]), plan_of(LATER, CARDS), LATER, key)
    label(client, PLAN, [line.split(",")[0] for line in LINES[:50]], key)
    while client.eval(RECOVER, 0, str(1 << 53)):
        pass
    if not key.check:
        client.delete(KEY_CHECK)  # As a release without a key has it.


def label(client: Redis, plan: Plan, ids: list[str], key: HistoryKey) -> int:
    """These were frauds; gives how many of them are known."""
    now = float(FIRST.astype("int64"))
    frauds, when = np.ones(len(ids), dtype=np.bool_), np.full(len(ids), now)
    update = LabelUpdate(plan, key.transactions.digests(ids), frauds, when, now)
    while arguments := update.find_arguments():
        update.receive_transactions(cast("list[bytes]", client.eval(FIND_TRANSACTIONS, 0, *arguments)))
        update.receive_stored_labels([cast("bytes | None", client.hget(*each)) for each in update.stored_label_reads()])  # type: ignore[arg-type]
        if changes := update.arguments():
            update.receive_conflicts(cast("bytes", client.eval(UPDATE_LABELS, 0, *changes)))
    return len(ids) - int(update.unknown.sum())


def knows(client: Redis, identity: bytes) -> bool:
    """Whether an id of this digest is noted."""
    return any(client.hexists(slot, identity) for slot in client.scan_iter(KNOWN + b"*"))  # type: ignore[arg-type]


def stored_digests(client: Redis) -> dict[bytes, Any]:
    """All that holds digests, but for the random names of blocks; each block by its contents."""
    result: dict[bytes, Any] = {}
    for name in client.scan_iter(count=1_000):
        assert not name.startswith(module.MOVED_PREFIX)
        if name.startswith(MONTHS):
            result[name] = client.hgetall(name)
        elif name.startswith(KNOWN):
            fields = cast("dict[bytes, bytes]", client.hgetall(name))
            result[KNOWN] = result.get(KNOWN, {}) | {field: noted[12:] for field, noted in fields.items()}
        elif name.startswith(BLOCK):
            block = cast("bytes", client.get(name))
            assert keys_offset(block)
            result[BLOCK + block] = result.get(BLOCK + block, 0) + 1
        elif name.startswith((STATE, PREFIX)):
            result[name] = client.get(name)
        assert name == KEY_CHECK or cast("int", client.ttl(name)) > 0, name
    return result


def run(valkey: Valkey, key: HistoryKey) -> RekeyResult:
    """Rekeys, and says nothing."""
    return rekey(valkey.url, key, lambda _: None)


@pytest.mark.parametrize(("before", "after"), [(UNKEYED, KEY), (KEY, NEWER), (UNKEYED, NEWER)])
def test_all_is_as_if_it_had_been_of_the_key_from_the_start(
    valkeys: list[tuple[Valkey, Redis]], before: HistoryKey, after: HistoryKey
) -> None:
    """Byte for byte; and a second run has nothing to do."""
    (valkey, client), (direct, other) = valkeys
    remember(valkey, client, before)
    remember(direct, other, after)
    assert run(valkey, after).moved > 2_000
    result, expected = stored_digests(client), stored_digests(other)
    assert {kind: sum(name.startswith(kind) for name in result) > 0 for kind in KINDS} == dict.fromkeys(KINDS, True)
    assert result == expected
    assert client.get(KEY_CHECK) == after.check
    assert run(valkey, after).moved == 0


def test_what_an_older_release_wrote_is_read(valkeys: list[tuple[Valkey, Redis]]) -> None:
    """Histories, labels and loads; and its digests, which anybody can make, are gone."""
    (valkey, client), _ = valkeys
    remember(valkey, client, UNKEYED)
    identity = hashlib.blake2b(b"t0", digest_size=16, person=b"transaction").digest()
    assert knows(client, identity)
    before = live(client, PLAN, without_labels(PROBE), record=False, key=UNKEYED)
    run(valkey, KEY)
    assert_same(live(client, PLAN, without_labels(PROBE), record=False), before)
    assert label(client, PLAN, ["t0", "t1", "nobody's"], KEY) == 2
    assert is_loaded(valkey.url, PLAN, read(text(LINES), PLAN).sha256, KEY)
    assert not knows(client, identity)


@pytest.mark.parametrize(("key", "given_away"), [(KEY, False), (UNKEYED, True)])
def test_no_hash_that_anybody_can_make_is_in_redis(
    valkeys: list[tuple[Valkey, Redis]], key: HistoryKey, given_away: bool
) -> None:
    """After loads, labels, and a gateway that was killed with journals not applied; without a key all are there."""
    (valkey, client), _ = valkeys
    remember(valkey, client, key)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("gateway.history.pipeline.APPLY", "return redis.error_reply('killed')")
        with pytest.raises(ResponseError, match="killed"):
            live(client, PLAN, without_labels(rows(600, seed=3, first="k")), key=key)
    held, ids = b"\n".join(dump(client)), [f"t{n}" for n in range(650, 700)] + [f"k{n}" for n in range(600)]
    assert b"fraud:j:" in held
    result = [UNKEYED.transactions.digest(text) in held for text in ids]
    result += [UNKEYED.entities.digest(text) in held for text in ("c0", "c39", "s0", "s24")]
    assert set(result) == {given_away}


class Killed(BaseException):
    """The end of a run in its middle."""


def test_a_run_that_is_cut_off_goes_on(valkeys: list[tuple[Valkey, Redis]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever: after each call to Redis that moves something, in each of the steps."""
    (valkey, client), (direct, other) = valkeys
    monkeypatch.setattr(module, "PAGE", 100)
    remember(valkey, client, UNKEYED)
    remember(direct, other, KEY)
    whole, observed = module._RekeyRun._call, set[bytes]()

    def cut(self: module._RekeyRun, script: str, *arguments: bytes) -> int:
        moved = whole(self, script, *arguments)
        if moved:
            observed.add(self._step[:1])
            raise Killed
        return moved

    cuts = 0
    while True:
        monkeypatch.setattr(module._RekeyRun, "_call", cut)
        try:
            done = run(valkey, KEY)
        except Killed:
            cuts += 1
            with pytest.raises(OperationsError, match="moves to another"):
                is_loaded(valkey.url, PLAN, "0" * 64, KEY)
        else:
            break
    assert done.resumed
    assert (observed, cuts > 15) == ({b"1", b"2"}, True)
    assert stored_digests(client) == stored_digests(other)


def test_what_a_gateway_had_claimed_is_recovered_first(valkeys: list[tuple[Valkey, Redis]]) -> None:
    """A large file whose gateway was killed before it was applied counts, and what has not been claimed never will."""
    (valkey, client), _ = valkeys
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("gateway.history.pipeline.APPLY", "return redis.error_reply('killed')")
        with pytest.raises(ResponseError, match="killed"):
            live(client, PLAN, without_labels(LINES[:600]), key=UNKEYED)
    assert client.exists("fraud:due")
    run(valkey, KEY)
    assert not client.exists("fraud:due")
    assert not list(client.scan_iter("fraud:j:*"))
    observed = live(client, PLAN, without_labels(PROBE), record=False)
    assert max(np.nanmax(values) for name, values in observed.items() if "count" in name) > 5


def test_a_key_that_does_not_go_on_from_the_old_one_is_refused(valkeys: list[tuple[Valkey, Redis]]) -> None:
    """Nothing moves, and a load refuses too; the message says what to set."""
    (valkey, client), _ = valkeys
    live(client, PLAN, without_labels(LINES[:50]))
    before = stored_digests(client)
    with pytest.raises(OperationsError, match="the new one behind it"):
        run(valkey, OTHER)
    with pytest.raises(OperationsError, match="is of another HISTORY_KEY"):
        loaded(valkey.url, text(LINES), PLAN, key=OTHER)
    assert stored_digests(client) == before


def test_an_older_release_is_reported(valkeys: list[tuple[Valkey, Redis]]) -> None:
    """A load into what has no key says what to do, and loads nothing."""
    (valkey, client), _ = valkeys
    live(client, PLAN, without_labels(LINES[:50]), key=UNKEYED)
    before = stored_digests(client)
    with pytest.raises(OperationsError, match="run `fraud history rekey`"):
        loaded(valkey.url, text(LINES), PLAN)
    assert stored_digests(client) == before


def test_an_empty_redis_takes_the_key_that_comes_first(valkeys: list[tuple[Valkey, Redis]]) -> None:
    """What is not ours, and what names nobody, does not count."""
    (_, client), _ = valkeys
    client.mset({"session:1": "x", "fraud:labelled": "x", "fraud:trial:1": "x"})
    result: list[Any] = [client.eval(ADOPT_KEY, 0, each.check.decode()) for each in (KEY, OTHER)]
    assert result == [KEY.check] * 2


def test_a_redis_that_is_away_is_reported() -> None:
    """Whoever asks may ask again."""
    with pytest.raises(Interrupted, match="Redis does not answer"):
        rekey("redis://127.0.0.1:1", KEY, lambda _: None)
