import sys

import pytest

from tests.extras import to_install
from training.errors import TrainingError
from training.fitting import TrainingSettings
from training.loop import LoopConfig
from training.progress import silent
from training.tune import tune


def _score(settings: TrainingSettings) -> float:
    """Best without decay."""
    return -settings.loop.weight_decay


def test_a_search_never_ends_below_the_usual_settings() -> None:
    """The usual ones are tried first, and the best of all is taken."""
    pytest.importorskip("optuna")
    tried: list[TrainingSettings] = []

    def attempt(settings: TrainingSettings) -> float:
        tried.append(settings)
        return _score(settings)

    found = tune(TrainingSettings(), 6, 0, attempt, silent())
    assert tried[0] == TrainingSettings()
    assert _score(found.settings) == max(map(_score, tried))
    assert found.facts["trials"] == len(found.facts["scores"]) == 6


def test_a_seed_repeats_a_search() -> None:
    """The same seed tries the same settings."""
    pytest.importorskip("optuna")
    one, other = (tune(TrainingSettings(), 4, 3, _score, silent()) for _ in range(2))
    assert one == other


def test_settings_that_fail_are_passed_over() -> None:
    """A training that did not converge ends its trial alone; where all do the search is refused."""
    pytest.importorskip("optuna")

    def attempt(settings: TrainingSettings) -> float:
        if settings != TrainingSettings():
            raise TrainingError("no")
        return 0.5

    assert tune(TrainingSettings(), 3, 0, attempt, silent()).settings == TrainingSettings()
    with pytest.raises(TrainingError, match="No settings"):
        tune(TrainingSettings(), 2, 0, lambda _: attempt(TrainingSettings(loop=_other())), silent())


def _other() -> LoopConfig:
    return LoopConfig(epochs=3)


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the requirement of the extra; no package of this project's name, which anyone could publish."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(TrainingError, match=r"in a checkout.*make \.venv") as caught:
        tune(TrainingSettings(), 1, 0, _score, silent())
    assert f"pip install {to_install('tune')}" in str(caught.value)
