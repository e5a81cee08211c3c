"""The handler as TorchServe calls it, over real files."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from contract.description import Description
from contract.frame import DESCRIBE, Frame
from handlers import fraud_handler
from handlers.fraud_handler import FraudHandler
from tests.swapping import at_every_step
from tests.tiny import CONTRACT, Context, load, matrix, seal, write_version


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """An unpacked archive of version 1."""
    return write_version(tmp_path)


def ask(handler: FraudHandler, directory: Path, *bodies: bytes) -> tuple[list[bytes], dict[int, int]]:
    """The answers to one batch, and the statuses that differ from 200."""
    context = Context(directory)
    return handler.handle([{"body": bytearray(body)} for body in bodies], context), context.statuses


def frame(version: int = 1, fingerprint: str = CONTRACT.fingerprint, width: int = CONTRACT.width) -> bytes:
    """Two rows of zeros."""
    return Frame(version, fingerprint, np.zeros((2, width), dtype=np.float32)).to_bytes()


def test_scores_every_row(directory: Path) -> None:
    """A frame comes back with the version, the contract and the model's probability of each row."""
    sent = Frame(1, CONTRACT.fingerprint, matrix(rows=5))
    (answer,), statuses = ask(load(directory), directory, sent.to_bytes())
    scored = Frame.from_bytes(answer)
    expected = torch.sigmoid((torch.from_numpy(sent.values)[:, 0] - 1000) * 0.01).numpy()
    assert (scored.version, scored.fingerprint, statuses) == (1, CONTRACT.fingerprint, {})
    np.testing.assert_allclose(scored.values[:, 0], expected, atol=1e-7)


def test_describes_itself(directory: Path) -> None:
    """DESCRIBE answers the contract, the card and the golden rows that the archive holds."""
    (answer,), _ = ask(load(directory), directory, DESCRIBE)
    description = Description.from_bytes(answer)
    assert (description.contract, description.version, description.device) == (CONTRACT, 1, "cpu")
    assert not description.half_precision


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (frame(version=2), 409),
        (frame(fingerprint="00" * 32), 409),
        (frame(width=CONTRACT.width + 1), 409),
        (frame()[:-1], 400),
        (b"", 400),
        (b'{"instances": []}', 400),
    ],
)
def test_a_foreign_frame_fails_alone(directory: Path, body: bytes, status: int) -> None:
    """A refused request has its own status, and the others of its batch are answered."""
    answers, statuses = ask(load(directory), directory, frame(), body, frame())
    assert statuses == {1: status}
    assert answers[0] == answers[2]
    assert Frame.from_bytes(answers[0]).values.shape == (2, 1)


@pytest.mark.parametrize("name", ["model.pt", "contract.json", "card.json", "golden.json"])
def test_loads_nothing_that_was_changed(directory: Path, name: str) -> None:
    """One changed byte in any file, or a missing file, fails the registration."""
    content = bytearray((directory / name).read_bytes())
    content[len(content) // 2] ^= 1
    (directory / name).write_bytes(content)
    with pytest.raises(RuntimeError, match=name):
        load(directory)
    (directory / name).unlink()
    with pytest.raises(RuntimeError, match=name):
        load(directory)


def test_loads_what_was_checked(directory: Path, tmp_path: Path) -> None:
    """A file that is replaced between its check and its use, at any step, is not loaded."""
    other = write_version(tmp_path / "other", slope=-0.01)
    before, loaded = load(directory).score(matrix()), 0
    changed = {directory / name: (other / name).read_bytes() for name in fraud_handler.LOADED}
    for _ in at_every_step(changed):
        with contextlib.suppress(RuntimeError):
            assert (load(directory).score(matrix()) == before).all()
            loaded += 1
    assert loaded


def test_loads_nothing_that_no_checksum_covers(directory: Path) -> None:
    """An archive whose checksums leave a file out is not loaded."""
    (directory / "checksums.json").write_text("{}")
    with pytest.raises(RuntimeError, match="vouch"):
        load(directory)


def test_loads_no_other_version(directory: Path) -> None:
    """An archive whose manifest names another version than its card is not loaded."""
    with pytest.raises(RuntimeError, match="another version"):
        load(directory, version=2)


def test_loads_no_model_that_scores_otherwise(directory: Path) -> None:
    """A model that does not give its golden rows their scores is not loaded."""
    golden = json.loads((directory / "golden.json").read_text())
    golden["probabilities"][0] += 0.001
    (directory / "golden.json").write_text(json.dumps(golden))
    seal(directory)
    with pytest.raises(RuntimeError, match="golden"):
        load(directory)


def test_half_precision_is_a_setting(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HALF_PRECISION makes the handler say so and score within what its card allows."""
    monkeypatch.setenv("HALF_PRECISION", "1")
    handler = load(directory)
    assert handler.description.half_precision
    assert handler.score(matrix()).dtype == np.float32


def test_the_handler_module_defines_one_class() -> None:
    """TorchServe refuses a handler module with more than one class of its own."""
    own = [
        kind
        for kind in vars(fraud_handler).values()
        if isinstance(kind, type) and kind.__module__ == fraud_handler.__name__
    ]
    assert own == [FraudHandler]
