import io
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.training import killed
from training.checkpoint import MAX_AGE_SECONDS, Checkpoints, TrainingState
from training.progress import Reporter


def _state(value: float = 1.5) -> TrainingState:
    return TrainingState(
        {"a.b": np.array([[value, 2.0]], dtype=np.float32), "count": np.array(3)}, {"epoch": 2, "score": value}
    )


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    """Arrays with type and shape, and numbers to the last bit, minus infinity among them."""
    one = Checkpoints(tmp_path / "new").of("x")
    one.save(TrainingState(_state().arrays, {"score": float("-inf"), "share": 0.1}))
    found = Checkpoints(tmp_path / "new").of("x").load()
    assert found is not None
    assert found.numbers == {"score": float("-inf"), "share": 0.1}
    for name, values in _state().arrays.items():
        np.testing.assert_array_equal(found.arrays[name], values, strict=True)


def test_the_last_state_counts(tmp_path: Path) -> None:
    """A second state takes the place of the first, and nothing else stays beside it."""
    checkpoint = Checkpoints(tmp_path).of("x")
    for value in (1.0, 2.0):
        checkpoint.save(_state(value))
    found = checkpoint.load()
    assert found is not None
    assert found.numbers["score"] == 2.0
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("keep", [0, 10, -1])
def test_a_damaged_state_is_ignored_and_reported(tmp_path: Path, keep: int) -> None:
    """A file that was cut anywhere is none."""
    output: list[str] = []
    checkpoint = Checkpoints(tmp_path, say=output.append).of("x")
    checkpoint.save(_state())
    assert checkpoint.path is not None
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:keep])
    assert checkpoint.load() is None
    assert "damaged" in output[0]


def test_a_changed_byte_is_seen(tmp_path: Path) -> None:
    """The hash is of all that is read."""
    checkpoint = Checkpoints(tmp_path).of("x")
    checkpoint.save(_state())
    assert checkpoint.path is not None
    content = bytearray(checkpoint.path.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.path.write_bytes(content)
    assert checkpoint.load() is None


def test_a_training_goes_on_where_no_state_can_be_written(tmp_path: Path) -> None:
    """It is told once, and nothing is left behind: a directory in the way, or a full disk."""
    message = list[str]()
    (tmp_path / "x.checkpoint").mkdir()
    checkpoints = Checkpoints(tmp_path, seconds=0, say=message.append)
    checkpoint = checkpoints.of("x")
    assert checkpoint.load() is None
    for _ in range(2):
        checkpoint.save(_state())
    assert [path.name for path in tmp_path.iterdir()] == ["x.checkpoint"]
    assert len(message) == 2
    assert "is damaged and was ignored" in message[0]
    assert "no checkpoint is written" in message[1]
    assert not checkpoint.due
    checkpoints.clear()


def test_who_does_not_want_to_go_on_begins_anew(tmp_path: Path) -> None:
    """Without resume a state is not looked at."""
    Checkpoints(tmp_path).of("x").save(_state())
    assert Checkpoints(tmp_path, resume=False).of("x").load() is None


def test_what_is_done_leaves_nothing(tmp_path: Path) -> None:
    """Its own states are removed, another training's stay for a week."""
    for name, age in (("other", 0.0), ("old", MAX_AGE_SECONDS + 60)):
        checkpoint = Checkpoints(tmp_path).of(name)
        checkpoint.save(_state())
        assert checkpoint.path is not None
        _age(checkpoint.path, age)
    own = Checkpoints(tmp_path)
    own.of("own").save(_state())
    own.clear()
    assert [path.stem for path in tmp_path.iterdir()] == ["other"]


def _age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def test_without_a_directory_nothing_is_kept() -> None:
    """Saving is harmless, and there is nothing to load."""
    none = Checkpoints(None)
    none.of("x").save(_state())
    assert none.of("x").load() is None
    none.clear()


def _killed(directory: Path, step: int) -> int:
    """Trains in a process of its own that is killed at this step; how it ended."""
    command = [sys.executable, "-m", "tests.training.killed", str(directory), str(step)]
    return subprocess.run(command, cwd=Path(__file__).parents[2], check=False).returncode


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_at_any_step_it_ends_in_the_same_weights(tmp_path: Path, seed: int) -> None:
    """Killed with -9 at a step that chance chose, a training that goes on ends bit for bit as if it had not been."""
    step = random.Random(seed).randrange(4, killed.STEPS)  # noqa: S311 - a step, not a secret.
    assert _killed(tmp_path, step) == -signal.SIGKILL
    console = Console(file=io.StringIO())
    gone_on = killed.train(Checkpoints(tmp_path), output=Reporter(console))
    assert isinstance(console.file, io.StringIO)
    assert "a checkpoint was found" in console.file.getvalue()
    assert len(list(tmp_path.iterdir())) == 1
    assert killed.weights(gone_on) == killed.weights(killed.train(Checkpoints(None)))


def test_a_training_that_differs_in_anything_does_not_go_on(tmp_path: Path) -> None:
    """Other settings have an identity of their own: what another training left is not theirs."""
    killed.train(Checkpoints(tmp_path))
    other = replace(killed.CONFIG, weight_decay=0.5)
    apart = killed.train(Checkpoints(tmp_path), other)
    assert len(list(tmp_path.iterdir())) == 2
    assert killed.weights(apart) == killed.weights(killed.train(Checkpoints(None), other))
