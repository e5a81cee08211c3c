"""`fraud retrain`: what a timer runs each week. Settings come from the environment, for a schedule has no options.

TRAINING_DATA     transactions, a file or a folder of them, which something of yours renews; without it nothing is
                  trained. Labels are in the file, or came in by the API, or both
TRAINING_SCHEMA   its schema file; without it, one is inferred
RETRAIN_GENUINE_AFTER  days after which a transaction without a label is genuine; of younger ones nothing is learned
RETRAIN_RELEASE   live, canary, shadow or none: what a version becomes that passes the rule; live by default
RETRAIN_MARGIN    how much better it must be, in average precision; 0 by default
RETRAIN_SHARE     of the cards that a canary answers for; 5% by default
"""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from operations.errors import OperationsError, in_words
from operations.retraining.release_rule import ReleaseCriteria, ReleaseMode
from operations.rollout import deployment
from operations.settings import StatePaths
from operations.store.registry import Entry, Registry
from operations.text.formatting import parse_time


def retrain(paths: StatePaths, env: Mapping[str, str], console: Console) -> None:
    """Trains on the data that TRAINING_DATA names and releases by the rule; does nothing where there is nothing new.

    Without data it does not take the simulator's: a version a week, each as good as the one before, would fill the disk
    and teach nothing. The same is true of data from which a version in the store was trained already.

    Raises:
        OperationsError: a setting or the data cannot be used; or a version passed the rule and could not be released.
    """
    criteria, days = _criteria(env), _days(env)
    if not (name := env.get("TRAINING_DATA")):
        console.print("TRAINING_DATA is not set: there is nothing to learn from, and nothing is trained.")
        return
    from operations.retraining.training_data import gather_training_data

    schema = Path(text) if (text := env.get("TRAINING_SCHEMA")) else None
    with gather_training_data(paths, env, Path(name), schema, days) as data:
        if data.note:
            console.print(data.note, markup=False)
        if same := _trained_on(paths, data.path, schema):
            console.print(f"Version {same.version} was trained on this very file: nothing is trained.")
            return
        _train(paths, env, (data.path, schema), criteria, console)


def _train(
    paths: StatePaths,
    env: Mapping[str, str],
    files: tuple[Path, Path | None],
    criteria: ReleaseCriteria,
    console: Console,
) -> None:
    from operations.retraining import cycle, train

    options = train.TrainOptions(*files, 0, None)
    if criteria.goal is ReleaseMode.NONE:
        entry = train.train(Registry(paths.store), options, console)
        console.print(f"Version {entry.version} is in the model store. Make it live: fraud release {entry.version}")
    else:
        cycle.retrain(paths, lambda: deployment.find_target(paths, env), options, criteria, console)


def _days(env: Mapping[str, str]) -> float | None:
    if not (text := env.get("RETRAIN_GENUINE_AFTER")):
        return None
    try:
        days = float(text)
    except ValueError:
        days = math.nan
    if not 0 <= days < math.inf:
        raise OperationsError("RETRAIN_GENUINE_AFTER is a number of days from 0")
    return days


def _criteria(env: Mapping[str, str]) -> ReleaseCriteria:
    text, margin = env.get("RETRAIN_RELEASE") or ReleaseMode.LIVE, env.get("RETRAIN_MARGIN") or "0"
    try:
        goal = ReleaseMode(text)
    except ValueError:
        raise OperationsError(f"RETRAIN_RELEASE is one of {', '.join(ReleaseMode)}") from None
    try:
        return ReleaseCriteria(goal, float(margin), env.get("RETRAIN_SHARE") or "5%")
    except ValueError:
        raise OperationsError("RETRAIN_MARGIN is a number from 0 to 1, of average precision") from None


def _trained_on(paths: StatePaths, data: Path, schema: Path | None) -> Entry | None:
    """The newest version that this file was trained on, by a schema that has not changed since."""
    try:
        with data.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        changed = schema.stat().st_mtime if schema else 0.0
    except OSError as error:
        raise OperationsError(f"TRAINING_DATA or TRAINING_SCHEMA cannot be read: {in_words(error)}") from None
    same = [entry for entry in Registry(paths.store).entries() if entry.data_sha256 == sha256]
    trained = parse_time(same[-1].created) if same else None
    return same[-1] if trained and changed < trained.timestamp() else None
