"""`fraud train --tune`: a search for better settings, by the score on the validation period alone.

The settings that training takes by itself are tried first, so that a search never ends below them. A short one mostly
chooses by luck: on the Handbook's folds another seed moves the score by about as much as the settings do (LOG.md).
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from training.errors import TrainingError
from training.fitting import TrainingSettings
from training.progress import Reporter

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a search found: the best settings, and for the model card what was tried."""

    settings: TrainingSettings
    facts: dict[str, Any]


def tune(
    start: TrainingSettings, trials: int, seed: int, attempt: Callable[[TrainingSettings], float], reporter: Reporter
) -> Tuned:
    """Trains with `trials` settings, `start` first, and returns the best.

    Args:
        start: what training takes by itself.
        trials: settings to try, at least one.
        seed: of the search.
        attempt: trains with some settings and returns the validation score: higher is better.
        reporter: gets a line for each trial.

    Raises:
        TrainingError: optuna is not installed, or no settings gave a score.
    """
    study = _study(start, seed)
    tried: dict[int, TrainingSettings] = {}

    def objective(trial: "optuna.Trial") -> float:
        tried[trial.number] = settings = _suggested(trial, start)
        score = attempt(settings)
        reporter.say(f"trial {trial.number + 1} of {trials}: {score:.4f} {trial.params}")
        return score

    study.optimize(objective, n_trials=trials, catch=(TrainingError,))
    scores = {trial.number: trial.value for trial in study.trials if trial.value is not None}
    if not scores:
        raise TrainingError("No settings gave a score: the search has nothing to choose from.")
    facts = {"trials": trials, "scores": list(scores.values()), "parameters": study.best_trial.params}
    return Tuned(tried[study.best_trial.number], facts)


def _study(start: TrainingSettings, seed: int) -> "optuna.Study":
    try:
        import optuna  # noqa: PLC0415 - an optional extra.
    except ImportError:
        raise TrainingError(
            "--tune needs optuna, which is not installed here, as in the images: search in a checkout, whose .venv "
            "has it after `make .venv`, or install it: python -m pip install 'optuna>=5.0'."
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    initial = asdict(start.network) | asdict(start.loop)
    study.enqueue_trial({name: initial[name] for name in _NAMES})
    return study


_NAMES = ("pieces", "hidden", "layers", "dropout", "learning_rate", "weight_decay")


def _suggested(trial: "optuna.Trial", start: TrainingSettings) -> TrainingSettings:
    network = replace(
        start.network,
        pieces=trial.suggest_int("pieces", 2, 32, log=True),
        hidden=trial.suggest_int("hidden", 32, 256, step=32),
        layers=trial.suggest_int("layers", 1, 3),
        dropout=trial.suggest_float("dropout", 0.0, 0.4),
    )
    loop = replace(
        start.loop,
        learning_rate=trial.suggest_float("learning_rate", 1e-3, 1e-2, log=True),
        weight_decay=trial.suggest_float("weight_decay", 1e-3, 1.0, log=True),
    )
    return TrainingSettings(network, loop)
