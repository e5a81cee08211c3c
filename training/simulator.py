"""Simulated card transactions: seeded, vectorised, of no real person.

Customers and terminals live on a plane that four countries share. A customer pays at the terminals near home and at
online shops, more by day than by night, around an amount of their own. Fraud follows three published scenarios:

1. amounts above a ceiling;
2. terminals compromised for four weeks: skimmed cards, mostly swiped;
3. customers compromised for two weeks: a third of their transactions are someone else's, with inflated amounts,
   mostly online and from elsewhere.

Genuine customers swipe, travel and shop online too, so that no column alone tells the label.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from training.errors import TrainingError

DAY = 86_400
FIRST_DAY = pd.Timestamp("2026-01-01")
CEILING = 350.0
"""Currency units: above it a transaction is fraud, but for a few large purchases that are genuine."""
LARGEST = 20_000.0
SKIMMED_SHARE, STOLEN_SHARE, ABOVE_CEILING_SHARE = 0.75, 1 / 3, 0.9
ONLINE_SHOPS = 0.3
NEAREST = 15
"""A customer pays at this many terminals near home."""
BORDERS = (0.55, 0.45)
"""Where the plane is cut into four countries, across and along."""
AT_ANY_HOUR, TRAVELLING, SWIPED, REMOTE, ELSEWHERE = 0.08, 0.02, 0.8, 0.8, 0.65
"""Shares: of payments whose hour is any; of store payments far from home; of skimmed cards that are swiped; of stolen
ones used online; of those used from another country."""
COUNTRIES = np.array(["DE", "FR", "IT", "PL", "BR", "NG", "US"], dtype=object)
HOME_COUNTRIES = 4
"""The first four stand on the plane; in the others only online payments and travellers take place."""
CHANNELS = np.array(["chip", "contactless", "swipe", "online", "phone"], dtype=object)
CHIP, CONTACTLESS, SWIPE, ONLINE, PHONE = range(len(CHANNELS))
MERCHANTS = np.array(
    ["grocery", "fuel", "restaurant", "pharmacy", "clothing", "transport", "hotel", "electronics", "jewellery",
     "travel", "gaming", "digital_goods", "gift_cards"],
    dtype=object,
)  # fmt: skip
STORE_MERCHANTS = np.array([0.24, 0.12, 0.2, 0.08, 0.12, 0.1, 0.04, 0.06, 0.04, 0, 0, 0, 0])
SHOP_MERCHANTS = np.array([0.1, 0, 0.1, 0.03, 0.2, 0.05, 0.04, 0.14, 0.03, 0.1, 0.08, 0.09, 0.04])
STOLEN_MERCHANTS = np.array([0.02, 0, 0.02, 0.01, 0.08, 0.02, 0.04, 0.26, 0.1, 0.1, 0.1, 0.1, 0.15])
AMOUNT_FACTORS = np.array([0.7, 1.0, 0.8, 0.5, 1.3, 0.5, 2.2, 2.0, 2.2, 2.0, 0.6, 0.5, 1.0])
"""What a merchant category makes of a customer's usual amount, in the order of MERCHANTS."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Simulation:
    """How much to simulate; the defaults give about 300,000 transactions with about 0.8% fraud.

    Attributes:
        first_day: the day on which the time starts, counted from 2026-01-01.
    """

    seed: int = 1
    days: int = 120
    customers: int = 1500
    terminals: int = 2000
    first_day: int = 0

    def __post_init__(self) -> None:
        """Refuses sizes in which nothing can happen."""
        if min(self.days, self.customers, self.terminals) < 1 or self.first_day < 0:
            raise TrainingError("a simulation needs at least one day, one customer and one terminal")


def simulate(simulation: Simulation) -> pd.DataFrame:
    """Draws the transactions, in order of time; the same simulation gives the same rows.

    Columns: transaction_id, timestamp (to the second), customer_id, terminal_id, amount, merchant_category, channel,
    country, is_fraud (0 or 1).
    """
    rng = np.random.default_rng(simulation.seed)
    people = _customers(rng, simulation)
    places = _terminals(rng, simulation)
    payments = _payments(rng, simulation, people, places)
    _compromise_terminals(rng, simulation, payments)
    _compromise_customers(rng, simulation, payments)
    large = payments.amount > CEILING
    payments.fraud |= large & (rng.random(len(large)) < ABOVE_CEILING_SHARE)
    return _frame(simulation, payments)


@dataclass(frozen=True, slots=True, eq=False)
class _Customers:
    """`amount` is the median in currency units; `rate` in transactions a day; `online` a share."""

    position: Floats
    country: Integers
    amount: Floats
    rate: Floats
    online: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Terminals:
    """`shops` are the positions of the online ones."""

    position: Floats
    country: Integers
    merchant: Integers
    shops: Integers
    stores: Integers


@dataclass(slots=True, eq=False)
class _Payments:
    """One entry a transaction, in order of time; `day` is counted from the simulation's first."""

    second: Integers
    customer: Integers
    terminal: Integers
    amount: Floats
    merchant: Integers
    channel: Integers
    country: Integers
    fraud: Mask

    @property
    def day(self) -> Integers:
        return self.second // DAY


def _customers(rng: Generator, size: Simulation) -> _Customers:
    position = rng.random((size.customers, 2))
    return _Customers(
        position=position,
        country=_country_of(position),
        amount=np.exp(rng.normal(3.3, 0.7, size.customers)),
        rate=rng.gamma(2.0, 0.85, size.customers),
        online=rng.beta(2.0, 6.0, size.customers),
    )


def _terminals(rng: Generator, size: Simulation) -> _Terminals:
    position = rng.random((size.terminals, 2))
    online = rng.random(size.terminals) < ONLINE_SHOPS
    # A world of a single terminal still has a store and a shop: the same one.
    every = np.arange(size.terminals)
    merchant = np.where(
        online,
        rng.choice(len(MERCHANTS), size.terminals, p=SHOP_MERCHANTS),
        rng.choice(len(MERCHANTS), size.terminals, p=STORE_MERCHANTS),
    )
    abroad = rng.choice(len(COUNTRIES), size.terminals, p=[0.25, 0.2, 0.15, 0.15, 0.03, 0.02, 0.2])
    return _Terminals(
        position=position,
        country=np.where(online, abroad, _country_of(position)),
        merchant=merchant,
        shops=every[online] if online.any() else every,
        stores=every[~online] if (~online).any() else every,
    )


def _country_of(position: Floats) -> Integers:
    """The plane's four quarters."""
    quarters: Integers = (position[:, 0] > BORDERS[0]).astype(np.int64) + 2 * (position[:, 1] > BORDERS[1])
    return quarters


def _payments(rng: Generator, size: Simulation, people: _Customers, places: _Terminals) -> _Payments:
    second, customer = _when_and_who(rng, size, people)
    online = rng.random(len(second)) < people.online[customer]
    terminal = np.where(online, rng.choice(places.shops, len(second)), _store(rng, people, places, customer))
    merchant = places.merchant[terminal]
    spread = np.exp(rng.normal(0, 0.45, len(second)))
    in_store = rng.choice([CHIP, CONTACTLESS, SWIPE], len(online), p=[0.42, 0.52, 0.06])
    remote = rng.choice([ONLINE, PHONE], len(online), p=[0.95, 0.05])
    return _Payments(
        second=second,
        customer=customer,
        terminal=terminal,
        amount=people.amount[customer] * AMOUNT_FACTORS[merchant] * spread,
        merchant=merchant,
        channel=np.where(online, remote, in_store),
        country=places.country[terminal],
        fraud=np.zeros(len(second), dtype=np.bool_),
    )


def _when_and_who(rng: Generator, size: Simulation, people: _Customers) -> tuple[Integers, Integers]:
    weekday = 1 + 0.25 * np.sin(2 * np.pi * (np.arange(size.days) + size.first_day) / 7)
    counts = rng.poisson(people.rate * weekday[:, None])
    day = np.repeat(np.arange(size.days), counts.sum(axis=1))
    customer = np.repeat(np.tile(np.arange(size.customers), size.days), counts.ravel())
    by_day = rng.normal(13.5, 3.8, len(day)) % 24
    hour = np.where(rng.random(len(day)) < AT_ANY_HOUR, rng.uniform(0, 24, len(day)), by_day)
    second = day * DAY + (hour * 3600).astype(np.int64)
    order = np.argsort(second, kind="stable")
    return second[order], customer[order]


def _store(rng: Generator, people: _Customers, places: _Terminals, customer: Integers) -> Integers:
    """A store near the customer's home; one time in fifty anywhere, for people travel."""
    near = min(NEAREST, len(places.stores))
    offsets = people.position[:, None, :] - places.position[places.stores][None, :, :]
    nearest = np.argpartition((offsets**2).sum(axis=2), near - 1, axis=1)[:, :near]
    at_home = nearest[customer, rng.integers(near, size=len(customer))]
    away = rng.integers(len(places.stores), size=len(customer))
    stores: Integers = places.stores[np.where(rng.random(len(customer)) < TRAVELLING, away, at_home)]
    return stores


def _compromise_terminals(rng: Generator, size: Simulation, payments: _Payments) -> None:
    compromised = _compromised(rng, *TERMINAL_RISK, (size.days, size.terminals))
    chosen = compromised[payments.day, payments.terminal]
    in_store = payments.channel <= SWIPE
    skimmed = chosen & in_store & (rng.random(len(chosen)) < SKIMMED_SHARE)
    swiped = skimmed & (rng.random(len(chosen)) < SWIPED)
    payments.channel[swiped] = SWIPE
    payments.amount[skimmed] *= rng.uniform(1.0, 2.5, int(skimmed.sum()))
    payments.fraud |= skimmed


def _compromise_customers(rng: Generator, size: Simulation, payments: _Payments) -> None:
    compromised = _compromised(rng, *CUSTOMER_RISK, (size.days, size.customers))
    chosen = compromised[payments.day, payments.customer]
    stolen = np.flatnonzero(chosen & (rng.random(len(chosen)) < STOLEN_SHARE))
    count = len(stolen)
    payments.amount[stolen] *= rng.uniform(3.0, 7.0, count)
    remote = stolen[rng.random(count) < REMOTE]
    payments.channel[remote] = ONLINE
    payments.merchant[remote] = rng.choice(len(MERCHANTS), len(remote), p=STOLEN_MERCHANTS)
    elsewhere = stolen[rng.random(count) < ELSEWHERE]
    payments.country[elsewhere] = rng.integers(HOME_COUNTRIES, len(COUNTRIES), len(elsewhere))
    payments.fraud[stolen] = True


TERMINAL_RISK, CUSTOMER_RISK = (1 / 5000, 28), (1 / 2600, 14)
"""A day's chance that one is compromised, and for how many days; set for 0.8% of fraud in all."""


def _compromised(rng: Generator, rate: float, lasting: int, shape: tuple[int, int]) -> Mask:
    """Whether each terminal or customer is compromised on each day: shape (days, terminals or customers).

    Times may have begun before the first day: the first day is like any other.
    """
    days, count = shape
    total: Integers = np.cumsum(rng.random((days + lasting, count)) < rate, axis=0)
    return np.asarray(total[lasting:] > total[:days], dtype=np.bool_)


def _frame(size: Simulation, payments: _Payments) -> pd.DataFrame:
    start = FIRST_DAY + pd.Timedelta(days=size.first_day)
    numbers = np.arange(1, len(payments.second) + 1)
    return pd.DataFrame({
        "transaction_id": _names(f"T{size.first_day:04}-", numbers, 7),
        "timestamp": (start + pd.to_timedelta(payments.second, unit="s")).astype("datetime64[s]"),
        "customer_id": _names("C", payments.customer, 5),
        "terminal_id": _names("M", payments.terminal, 5),
        "amount": np.clip(np.round(payments.amount, 2), 0.01, LARGEST),
        "merchant_category": MERCHANTS[payments.merchant],
        "channel": CHANNELS[payments.channel],
        "country": COUNTRIES[payments.country],
        "is_fraud": payments.fraud.astype(np.int64),
    })  # fmt: skip


def _names(prefix: str, numbers: Integers, digits: int) -> list[str]:
    return [f"{prefix}{number:0{digits}}" for number in numbers.tolist()]
