"""Past transactions in a real Redis: the state that live traffic would have made, each transaction once."""

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from redis import Redis

from contract.labels import FRAUD
from contract.windows import DAY
from history import known_ids
from history.known_ids import FIND_TRANSACTIONS, SLOT_SECONDS, TRANSACTION_HEAD, record_of
from history.redis_schema import PLANS
from operations.errors import OperationsError
from operations.history import load, load_steps
from operations.history.load import PREFIX, LoadProgress, is_loaded, progress_key
from operations.history.redis_access import Interrupted
from operations.store.registry import Registry
from tests.keys import HISTORY_KEY, KEY
from tests.operations.history.pasts import (
    CARDS,
    KNOWN,
    LATER,
    add,
    assert_same,
    client_of,
    dump,
    live,
    loaded,
    make_live,
    plan_of,
    read,
    redis,
    rows,
    states,
    text,
    trained,
    wait_for,
    without_labels,
)
from tests.valkey import Valkey

PLAN = plan_of(CARDS)
PROBE = [f"p{number},2026-02-15T00:00:00,c{number % 40},s{number % 25},10.00,chip,0" for number in range(80)]


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """One for the whole test."""
    with redis(tmp_path / "valkey") as (result, _):
        yield result


@pytest.fixture
def client(valkey: Valkey) -> Iterator[Redis]:
    """A client of it."""
    with contextlib.closing(client_of(valkey)) as result:
        yield result


def seconds_left(client: Redis, key: bytes) -> int:
    """Until a key expires; -2 where there is none."""
    return cast("int", client.ttl(key))


def record(client: Redis, identity: str) -> np.void:
    """What is known of a transaction."""
    (reply,) = cast("list[bytes]", client.eval(FIND_TRANSACTIONS, 0, KEY.transactions.digest(identity)))
    result = record_of(reply)
    return cast("np.void", np.frombuffer(result[: TRANSACTION_HEAD.itemsize], TRANSACTION_HEAD)[0])


def test_the_state_is_that_of_live_traffic(client: Redis, valkey: Valkey, tmp_path: Path) -> None:
    """Each entity has the buckets that it would have had if the file had come through the gateway."""
    body = without_labels(rows(3000, days=14))
    loaded(valkey.url, body, PLAN)
    with redis(tmp_path / "other") as (_, other):
        live(other, PLAN, body)
        assert states(client, PLAN) == states(other, PLAN)


def test_what_follows_gets_the_values_of_training(client: Redis, valkey: Valkey) -> None:
    """The next transactions see what training would show them, the confirmed frauds of the file too."""
    lines = rows(3000, days=45)
    loaded(valkey.url, text(lines), PLAN)
    assert_same(live(client, PLAN, without_labels(PROBE), record=False), trained(CARDS, lines, PROBE))


def test_what_follows_gets_them_also_from_any_order(client: Redis, valkey: Valkey) -> None:
    """A file need not be in order of time."""
    lines = rows(2000, days=45)
    random.Random(1).shuffle(mixed := list(lines))  # noqa: S311 - no secret
    loaded(valkey.url, text(mixed), PLAN)
    assert_same(live(client, PLAN, without_labels(PROBE), record=False), trained(CARDS, lines, PROBE))


def test_a_fraud_counts_from_its_confirmation_on(client: Redis, valkey: Valkey) -> None:
    """As in training: what became known late is met late by a risk, whether old or young, and a correction finds it."""
    lines, draw = rows(3000, days=45), np.random.default_rng(0)
    times = [np.datetime64(line.split(",")[1]) for line in lines]
    later = [
        when + np.timedelta64(int(days), "D") for when, days in zip(times, draw.integers(1, 30, 3000), strict=True)
    ]
    cells = [str(when) if number % 3 else "" for number, when in enumerate(later)]
    late = [f"{line},{cell}" for line, cell in zip(lines, cells, strict=True)]
    confirmed = [float(when.astype(float)) if cell else np.nan for when, cell in zip(later, cells, strict=True)]
    loaded(valkey.url, text(late).replace(b"is_fraud\n", b"is_fraud,confirmed_at\n"), PLAN)
    expected = trained(CARDS, lines, PROBE, confirmed)
    assert_same(live(client, PLAN, without_labels(PROBE), record=False), expected)
    risk = next(name for name in expected if "risk" in name)
    assert expected[risk].tolist() != trained(CARDS, lines, PROBE)[risk].tolist()
    assert record(client, "t2999")["confirmed"] == confirmed[2999]


def test_recent_ones_are_known_and_old_ones_only_count(client: Redis, valkey: Valkey) -> None:
    """An id is known as long as it would be, a tenth and a slot longer at most; older ones are not known any more."""
    lines = rows(2000, days=37)
    loaded(valkey.url, text(lines), PLAN)
    past = read(text(lines), PLAN).past
    assert past is not None
    ages = past.newest - past.seconds
    slots = cast("list[bytes]", client.keys(known_ids.KNOWN + b"*"))
    slot_of = {each: slot for slot in slots for each in cast("list[bytes]", client.hkeys(slot))}  # type: ignore[arg-type]
    left = np.array([seconds_left(client, slot_of.get(KEY.keyed(digest.tobytes()), b"none")) for digest in past.ids])
    recent = ages <= KNOWN
    assert (left[~recent] == -2).all()
    assert (left[recent] >= KNOWN - ages[recent] - 60).all()
    assert (left[recent] <= KNOWN - ages[recent] + KNOWN / load_steps.TIME_SLICES + SLOT_SECONDS + 60).all()


def test_states_expire_as_those_of_live_traffic(client: Redis, valkey: Valkey) -> None:
    """After the longest window and two days."""
    loaded(valkey.url, text(rows(500)), PLAN)
    times = {seconds_left(client, key) for key in client.scan_iter(b"fraud:h:*")}
    assert max(times) <= PLAN.seconds + 2 * DAY
    assert min(times) > PLAN.seconds + DAY


def test_labels_are_noted(client: Redis, valkey: Valkey) -> None:
    """A later correction finds what the file said of a transaction."""
    lines = [line[:-1] + "1" for line in rows(3)]
    loaded(valkey.url, text(lines), PLAN)
    result = record(client, "t1")
    assert (result["label"], result["width"], result["places"]) == (FRAUD, 0, 1)


def test_a_row_that_is_known_counts_once(client: Redis, valkey: Valkey, tmp_path: Path) -> None:
    """What was scored before the load, and what stands twice in the file, is counted once."""
    lines = rows(2000, days=11)
    live(client, PLAN, without_labels(lines[500:900]))
    done = loaded(valkey.url, without_labels([*lines, *lines[:100]]), PLAN)
    assert (done.rows, done.known, done.unresolved) == (2000, 400, 0)
    with redis(tmp_path / "other") as (_, other):
        live(other, PLAN, without_labels(lines))
        assert states(client, PLAN) == states(other, PLAN)


def test_what_is_scored_afterwards_counts_once(client: Redis, valkey: Valkey) -> None:
    """A young transaction of the file that comes through the gateway again changes nothing."""
    lines = rows(1000, days=11)
    loaded(valkey.url, without_labels(lines), PLAN)
    before = states(client, PLAN)
    live(client, PLAN, without_labels(lines[200:300]))
    assert states(client, PLAN) == before


def test_another_file_with_the_same_rows_counts_them_once(client: Redis, valkey: Valkey) -> None:
    """A longer file, whose old and young rows were partly in the file before, adds the others alone."""
    lines = rows(4000, days=45)
    loaded(valkey.url, text(lines[:3900]), PLAN)
    done = loaded(valkey.url, text(lines), PLAN)
    assert done.known > done.rows - 110
    assert_same(live(client, PLAN, without_labels(PROBE), record=False), trained(CARDS, lines, PROBE))


def test_a_second_run_does_nothing(client: Redis, valkey: Valkey) -> None:
    """A file that is loaded is loaded, and that is known for a year."""
    body = text(rows(1000))
    result = read(body, PLAN)
    assert not is_loaded(valkey.url, PLAN, result.sha256, KEY)
    loaded(valkey.url, body, PLAN)
    before = dump(client)
    assert loaded(valkey.url, body, PLAN).rows == 0
    assert dump(client) == before
    assert is_loaded(valkey.url, PLAN, result.sha256, KEY)
    assert seconds_left(client, progress_key(result.sha256, PLAN, KEY)) > 365 * DAY


def test_two_loads_of_a_file_do_not_mix(client: Redis, valkey: Valkey) -> None:
    """One that finds that another has gone on ends."""
    body = text(rows(5000))
    key = progress_key(read(body, PLAN).sha256, PLAN, KEY)
    client.set(key, LoadProgress(key, 0.0, 0, 2).to_bytes())

    def elsewhere(done: int, whole: int) -> None:
        client.set(key, LoadProgress(key, 0.0, 1, whole).to_bytes())

    target = load.LoadTarget(valkey.url, PLAN, KNOWN, KEY)
    with pytest.raises(OperationsError, match="another load"):
        load.load(target, read(body, PLAN), elsewhere)


def test_a_version_with_other_windows_is_warmed(client: Redis, valkey: Valkey) -> None:
    """Known transactions count in its own states alone: its values are those of training, the live version's stay."""
    lines = rows(3000, days=45)
    live(client, PLAN, without_labels(lines))  # All came through the gateway, for version 1 alone.
    before = states(client, PLAN)
    both = plan_of(LATER, CARDS)
    done = loaded(valkey.url, text(lines), both, LATER)
    assert done.known > 1000
    assert done.unresolved == 0
    probed = live(client, plan_of(LATER), without_labels(PROBE), record=False)
    expected = trained(LATER, lines, PROBE)
    assert_same(probed, {name: values for name, values in expected.items() if name.endswith("1d")})
    assert {key: value for key, value in states(client, both).items() if key in before} == before


def test_warming_twice_by_other_files_counts_once(client: Redis, valkey: Valkey) -> None:
    """A transaction that was known before is claimed for the new states: another file does not add it again."""
    lines, both = rows(1000, days=11), plan_of(LATER, CARDS)
    live(client, PLAN, without_labels(lines))
    loaded(valkey.url, without_labels(lines), both, LATER)
    before = states(client, both)
    loaded(valkey.url, without_labels(lines[500:]), both, LATER)
    assert states(client, both) == before


def test_what_entered_by_an_unknown_plan_stays_as_it_is(client: Redis, valkey: Valkey) -> None:
    """Where a transaction counts that a forgotten version brought in, nobody knows: it is told, and not counted."""
    lines = rows(300, days=11)
    live(client, plan_of(LATER), without_labels(lines))
    client.delete(PLANS)  # As a release has it that registered none.
    before = dump(client)
    done = loaded(valkey.url, without_labels(lines), PLAN)
    assert (done.known, done.unresolved) == (300, 300)
    assert {key: value for key, value in dump(client).items() if not key.startswith((PREFIX, PLANS))} == before


def test_redis_gone_in_the_middle_is_one_line_and_the_next_run_goes_on(valkey: Valkey, tmp_path: Path) -> None:
    """What was loaded survives the kill -9 of Redis, and the end is that of an undisturbed load."""
    body = text(rows(20_000, days=37))
    target = load.LoadTarget(valkey.url, PLAN, KNOWN, KEY)

    def kill(done: int, whole: int) -> None:
        if done == whole // 2:
            wait_until_on_disk(valkey)
            valkey.kill()

    with pytest.raises(Interrupted, match="Redis does not answer") as reported:
        load.load(target, read(body, PLAN), kill)
    assert "\n" not in str(reported.value)
    assert "@" not in str(reported.value)
    valkey.start()
    assert loaded(valkey.url, body, PLAN).resumed
    with contextlib.closing(client_of(valkey)) as client, redis(tmp_path / "other") as (undisturbed, other):
        loaded(undisturbed.url, body, PLAN)
        assert dump(client) == dump(other)


def wait_until_on_disk(valkey: Valkey) -> None:
    """Until the kernel has what was written: while the disk is busy, Valkey keeps up to two seconds to itself."""
    with contextlib.closing(client_of(valkey)) as client:
        client.set("mark", 1)
        client.execute_command("WAITAOF", 1, 0, 0)  # type: ignore[no-untyped-call]


def test_a_full_redis_is_reported(client: Redis, valkey: Valkey) -> None:
    """The load ends in a line that says what to do."""
    client.config_set("maxmemory", "3mb")
    with pytest.raises(Interrupted, match="Redis is full"):
        loaded(valkey.url, text(rows(30_000, days=11)), PLAN)


def test_the_state_survives_the_kill_of_redis(valkey: Valkey) -> None:
    """Valkey's file holds all that was loaded."""
    loaded(valkey.url, text(rows(2000)), PLAN)
    with contextlib.closing(client_of(valkey)) as client:
        before = dump(client)
    wait_until_on_disk(valkey)
    valkey.kill()
    valkey.start()
    with contextlib.closing(client_of(valkey)) as client:
        assert dump(client) == before
        assert len(before) > 80


def test_a_killed_load_goes_on_where_it_ended(client: Redis, valkey: Valkey, tmp_path: Path) -> None:
    """The process is killed at any moment; what the next one makes of it is, byte for byte, an undisturbed load."""
    registry = Registry(tmp_path / "model_store")
    add(registry, 1, CARDS)
    make_live(registry, 1)
    body = text(rows(40_000, days=14))
    (tmp_path / "past.csv").write_bytes(body)
    key = progress_key(read(body, PLAN).sha256, PLAN, KEY)
    for step in sorted(random.Random(os.getpid()).sample(range(1, 14), 2)):  # noqa: S311 - no secret
        process = subprocess.Popen(command(), cwd=tmp_path, env=environment(valkey), stdout=subprocess.PIPE)
        wait_for(lambda: process.poll() is not None or at(client, key) >= step)  # noqa: B023 - called at once
        process.send_signal(signal.SIGKILL)
        process.communicate()
    ended = subprocess.run(command(), cwd=tmp_path, env=environment(valkey), capture_output=True, text=True, check=True)
    assert "this run went on where another had ended" in ended.stdout
    with redis(tmp_path / "other") as (undisturbed, other):
        loaded(undisturbed.url, body, PLAN)
        assert dump(client) == dump(other)


def command() -> list[str]:
    """`fraud history load` of the file beside it."""
    return [sys.executable, "-m", "operations", "history", "load", "past.csv"]


def environment(valkey: Valkey) -> dict[str, str]:
    """What it runs with."""
    root = str(Path(__file__).parents[3])
    selected = {**os.environ, "REDIS_URL": valkey.url, "HISTORY_KEY": HISTORY_KEY}
    return {**selected, "PYTHONPATH": root, "KNOWN_DAYS": str(KNOWN / DAY), "MODEL_PATH": ""}


def at(client: Redis, key: bytes) -> int:
    """How far it is."""
    result = client.get(key)
    return LoadProgress.from_bytes(key, result).step if isinstance(result, bytes) else 0


def test_a_version_is_warmed_after_the_live_one_was_loaded(client: Redis, valkey: Valkey) -> None:
    """Rows that another load brought in count in the states that the new version alone has."""
    lines = rows(3000, days=45)
    loaded(valkey.url, text(lines), PLAN)
    done = loaded(valkey.url, text(lines), plan_of(LATER, CARDS), LATER)
    assert done.unresolved == 0
    probed = live(client, plan_of(LATER), without_labels(PROBE), record=False)
    expected_values = {name: values for name, values in trained(LATER, lines, PROBE).items() if name.endswith("1d")}
    assert_same(probed, expected_values)
