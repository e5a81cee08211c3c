"""Whatever gateways and loads do at the same time, a loss of history is told until it is filled or has passed."""

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from history.epoch import FIRST_RELEASE_SECONDS, Epoch, EpochCommands, ensure_epoch, extend_epoch, has_served
from releases.record import Release

NOW = 1_800_000_000.0
DAY = 86_400.0


class Redis:
    """What a Redis says to the commands of an epoch; each is one moment, as it is there.

    Attributes:
        text: of the epoch.
        has_states: whether anything is remembered.
    """

    def __init__(self) -> None:
        self.text: bytes | None = None
        self.has_states = False

    def reply(self, name: str, *arguments: Any) -> Any:  # noqa: ANN401 - as of a command
        """Does one command."""
        if name == "MGET":
            return [self.text]
        if name == "SCAN":
            return [b"0", [b"fraud:h:x"] if self.has_states else []]
        assert name == "EVAL"
        before, after = arguments[2:]
        if (self.text or b"") != before:
            return 0
        self.text = after
        return 1

    @property
    def epoch(self) -> Epoch | None:
        """What it holds."""
        return Epoch.from_bytes(self.text)


@dataclass(eq=False)
class Asker:
    """Whoever asks Redis one command after the other, and may be overtaken between two."""

    redis: Redis
    commands: EpochCommands
    done: Epoch | None = None
    _reply: Any = None

    def step(self) -> bool:
        """One command; whether there was one left."""
        if self.done is not None:
            return False
        try:
            self._reply = self.redis.reply(*self.commands.send(self._reply))  # type: ignore[arg-type]
        except StopIteration as stop:
            self.done = stop.value
        return self.done is None

    def end(self) -> Epoch:
        """All that is left."""
        while self.step():
            pass
        assert self.done is not None
        return self.done


@dataclass(eq=False)
class Gateway:
    """One that looks at the epoch; one that `owes` has met none since its last look began, and looks before it ends."""

    known: Epoch | None = None
    check: Asker | None = None
    owes: bool = False
    pays: bool = False


@dataclass(eq=False)
class Load:
    """One of a file that goes back so far; `started` says that its rows are there, and that it now asks to say so."""

    back_to: float
    asks: Asker
    started: bool = False


class Deployment(RuleBasedStateMachine):
    """Gateways and loads on one Redis, which is emptied now and then; it has answered before any of that."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.redis = NOW, Redis()
        first = Asker(self.redis, ensure_epoch(None, NOW, served=False)).end()
        self.gateways = [Gateway(first)]
        self.loads: list[Load] = []
        self.is_lost, self.whole_since = False, NOW

    @rule()
    def a_gateway_starts(self) -> None:
        """It knows nothing yet."""
        self.gateways.append(Gateway())

    @precondition(lambda self: any(not each.owes for each in self.gateways))
    @rule(data=st.data())
    def a_gateway_ends(self, data: st.DataObject) -> None:
        """At any moment, also in the middle of a look."""
        self.gateways.remove(data.draw(st.sampled_from([each for each in self.gateways if not each.owes])))

    @precondition(lambda self: self.gateways)
    @rule(data=st.data())
    def a_gateway_asks_one_command(self, data: st.DataObject) -> None:
        """Of its look; a new one begins where the last one has ended."""
        self._step(data.draw(st.sampled_from(self.gateways)))

    @precondition(lambda self: any(each.known for each in self.gateways))
    @rule(data=st.data())
    def a_gateway_remembers(self, data: st.DataObject) -> None:
        """Only one that knows an epoch; where Redis has another one or none, it looks at once."""
        gateway = data.draw(st.sampled_from([each for each in self.gateways if each.known]))
        self.redis.has_states = True
        if self.redis.epoch is None:
            gateway.owes, gateway.pays = True, False

    @rule()
    def redis_is_emptied(self) -> None:
        """All is lost."""
        self.redis.text, self.redis.has_states = None, False
        self.is_lost, self.whole_since = True, self.now

    @rule(days=st.integers(1, 60))
    def a_load_begins(self, days: int) -> None:
        """Of a file that goes back so far."""
        asks = Asker(self.redis, ensure_epoch(None, self.now, served=True))
        self.loads.append(Load(self.now - days * DAY, asks))

    @precondition(lambda self: self.loads)
    @rule(data=st.data())
    def a_load_asks_one_command(self, data: st.DataObject) -> None:
        """First of the epoch, then that its past is there."""
        load = data.draw(st.sampled_from(self.loads))
        if load.asks.step():
            return
        if load.started:
            self.loads.remove(load)
            return
        assert load.asks.done
        load.started, load.asks = True, Asker(self.redis, extend_epoch(load.asks.done, load.back_to))
        self.whole_since = min(self.whole_since, load.back_to)

    @precondition(lambda self: not self.loads and not any(each.check for each in self.gateways))
    @rule(hours=st.integers(1, 200))
    def time_passes(self, hours: int) -> None:
        """Between looks and loads, which take none."""
        self.now += hours * 3_600.0

    @rule()
    def all_have_looked(self) -> None:
        """Then everybody knows the same epoch, and it claims no more than is there."""
        if not self.gateways:
            self.gateways.append(Gateway())
        for gateway in self.gateways:
            while gateway.check:
                self._step(gateway)
        for gateway in self.gateways:
            self._step(gateway)
            while gateway.check:
                self._step(gateway)
        epoch = self.redis.epoch
        assert epoch is not None
        assert {each.known.id for each in self.gateways if each.known} == {epoch.id}
        assert (epoch.lost_at is not None) == self.is_lost
        assert epoch.reaches_back_to is None or epoch.reaches_back_to >= self.whole_since
        assert epoch.is_incomplete(self.now - self.whole_since + 1, self.now) or not self.is_lost

    @invariant()
    def no_epoch_says_more_than_is_there(self) -> None:
        """At no moment does one that tells of a loss reach back before it."""
        epoch = self.redis.epoch
        if epoch and epoch.lost_at is not None:
            assert epoch.reaches_back_to is not None
            assert epoch.reaches_back_to >= self.whole_since

    def _step(self, gateway: Gateway) -> None:
        if gateway.check is None:
            gateway.check = Asker(self.redis, ensure_epoch(gateway.known, self.now, served=True))
            gateway.pays = gateway.owes
        if not gateway.check.step():
            gateway.known, gateway.check = gateway.check.done, None
            gateway.owes &= not gateway.pays


TestDeployment = Deployment.TestCase
TestDeployment.settings = settings(max_examples=100, stateful_step_count=30)


def together(redis: Redis, generators: Sequence[EpochCommands], turns: Sequence[int]) -> list[Epoch]:
    """What comes of several that ask in turn."""
    askers = [Asker(redis, commands) for commands in generators]
    for turn in turns:
        askers[turn].step()
    return [each.end() for each in askers]


@given(st.booleans(), st.booleans(), st.booleans(), st.lists(st.integers(0, 1), max_size=12))
def test_two_gateways_that_start_at_once_know_one_epoch(
    served: bool, has_states: bool, loses: bool, turns: list[int]
) -> None:
    """Whoever is first: it is a loss for both or for none, and only where they had served and nothing is there."""
    redis = Redis()
    redis.has_states = has_states
    known = Epoch.new(NOW, lost=False) if loses else None
    first, second = together(redis, [ensure_epoch(known, NOW, served=served) for _ in range(2)], turns)
    assert first == second == redis.epoch
    assert (first.lost_at is not None) == (loses or (served and not has_states))


@given(st.booleans(), st.lists(st.integers(0, 1), max_size=12))
def test_a_loss_and_a_load_that_ends_meet(is_first: bool, turns: list[int]) -> None:
    """A gateway finds another epoch than it knew while a load fills that one: neither is written over unseen."""
    redis = Redis()
    known, there = Epoch.new(NOW, lost=False), Epoch.new(NOW, lost=False)
    redis.text = there.to_bytes()
    generators: list[EpochCommands] = [
        ensure_epoch(known, NOW, served=True),
        extend_epoch(there, NOW - 40 * DAY),
    ]
    together(redis, generators if is_first else generators[::-1], turns)
    assert redis.epoch
    assert (redis.epoch.id, redis.epoch.lost_at) == (there.id, NOW)
    assert redis.epoch.reaches_back_to in {NOW, NOW - 40 * DAY}


@pytest.mark.parametrize("known_again", [True, False])
def test_a_load_that_was_lost_fills_nothing(known_again: bool) -> None:
    """Redis was emptied after the load had begun: its rows are gone, whether or not somebody has seen it by now."""
    redis, before = Redis(), Epoch.new(NOW - DAY, lost=True)
    after = Epoch.new(NOW, lost=True) if known_again else None
    redis.text = after.to_bytes() if after else None
    Asker(redis, extend_epoch(before, NOW - 40 * DAY)).end()
    assert redis.epoch == after


moments = st.floats(0, 4e9)


@given(moments, st.none() | moments, st.none() | moments)
def test_an_epoch_is_read_as_it_was_written(began: float, oldest: float | None, lost: float | None) -> None:
    """To the last bit."""
    epoch = Epoch("id", began, oldest, lost)
    assert Epoch.from_bytes(epoch.to_bytes()) == epoch


@given(
    st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["id", "began"]), inner),
        max_leaves=5,
    ).map(lambda value: json.dumps(value).encode())
)
def test_what_is_no_epoch_is_none(text: bytes) -> None:
    """Whatever somebody has written over it."""
    assert Epoch.from_bytes(text) is None


@given(moments, moments, st.floats(1, 1e8))
def test_a_loss_shows_until_the_window_has_passed(lost: float, past: float, window: float) -> None:
    """Counted from where the history reaches back to; a load can only make that earlier."""
    epoch = Epoch.new(lost, lost=True)
    loaded = epoch.extended(past)
    assert epoch.is_incomplete(window, lost)
    assert not epoch.is_incomplete(window, lost + window + 1)
    assert loaded.is_incomplete(window, lost) == (lost - min(past, lost) < window)
    assert not replace(epoch, lost_at=None).is_incomplete(window, lost)


@pytest.mark.parametrize(
    ("released", "previous", "served"),
    [
        (timedelta(seconds=1), None, False),
        (timedelta(seconds=FIRST_RELEASE_SECONDS - 1), None, False),
        (timedelta(seconds=FIRST_RELEASE_SECONDS + 1), None, True),
        (timedelta(seconds=1), 1, True),
        (-timedelta(days=1), None, False),
    ],
)
def test_an_old_record_or_a_second_one_has_served(released: timedelta, previous: int | None, served: bool) -> None:
    """A first release of a moment ago has answered nobody; a clock that goes after it does not make it old."""
    moment = datetime.fromtimestamp(NOW, UTC) - released
    assert has_served(Release(2, previous, moment.isoformat()), NOW) is served
    assert has_served(Release(2, previous, moment.replace(tzinfo=None).isoformat()), NOW) is served


def test_a_record_without_a_time_has_served() -> None:
    """A loss too many is told, rather than one too few."""
    assert has_served(Release(1, None, "when?"), NOW)


def test_states_are_looked_for_to_the_end() -> None:
    """SCAN may find nothing for long: it goes on until it says that it has seen everything."""
    commands: Generator[tuple[Any, ...], Any, Epoch] = ensure_epoch(None, NOW, served=True)
    assert next(commands)[0] == "MGET"
    assert commands.send([None])[:2] == ("SCAN", 0)
    assert commands.send([b"7", []])[:2] == ("SCAN", b"7")
    name, _, _, before, after = commands.send([b"9", [b"fraud:h:1"]])
    new_epoch = Epoch.from_bytes(after)
    assert (name, before) == ("EVAL", b"")
    assert new_epoch
    assert (new_epoch.lost_at, new_epoch.reaches_back_to) == (None, None)
