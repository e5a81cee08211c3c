"""Signed archives: which are taken, which are refused, and what happens without keys or without the package."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from operations.backups import backup, storage
from operations.backups.backup_parts import BackupSource
from operations.cli import commands
from operations.errors import OperationsError
from operations.retraining import train as training
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.release import release
from operations.settings import StatePaths
from operations.store.registry import Registry
from operations.store.signing import SIGNING_KEY, VERIFY_KEY, SigningKeys, UnsignedArchive
from tests.extras import to_install
from tests.operations.conftest import add


def write_keys(directory: Path, curve: ec.EllipticCurve | None = None, password: bytes | None = None) -> SigningKeys:
    """A new pair of keys in PEM files."""
    key = ec.generate_private_key(curve or ec.SECP256R1())
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    directory.mkdir()
    (directory / "private.pem").write_bytes(private)
    (directory / "public.pem").write_bytes(public)
    return SigningKeys(directory / "private.pem", directory / "public.pem")


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    """A pair of keys on P-256."""
    return write_keys(tmp_path / "keys")


@pytest.fixture
def signed(tmp_path: Path, keys: SigningKeys) -> Registry:
    """A store with versions 1 and 2, both signed."""
    registry = Registry(tmp_path / "model_store", keys)
    for version in (1, 2):
        add(registry, tmp_path, version)
    return registry


def test_a_signed_archive_verifies(signed: Registry) -> None:
    """What the private key signed, the public key passes."""
    signed.verify(1)
    assert signed.signature(1).name == "fraud-1.sig"


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()])
def test_other_curves_of_the_standard_sign_too(tmp_path: Path, curve: ec.EllipticCurve) -> None:
    """P-384 and P-521 are as good as P-256."""
    registry = Registry(tmp_path / "model_store", write_keys(tmp_path / "other", curve))
    add(registry, tmp_path, 1)
    registry.verify(1)


def test_without_keys_nothing_is_signed_or_demanded(registry: Registry) -> None:
    """A store without keys has no signatures, and its versions verify."""
    registry.verify(1)
    assert not registry.signature(1).exists()


def test_without_keys_the_package_is_not_imported() -> None:
    """Nobody who signs nothing waits for the package, or needs it."""
    script = (
        "import sys, pathlib; from operations.store.registry import Registry; Registry(pathlib.Path('x')).keys.check();"
        "from operations import cli; sys.exit('model_signing' in sys.modules)"
    )
    clean = {name: value for name, value in os.environ.items() if name not in {SIGNING_KEY, VERIFY_KEY}}
    assert subprocess.run([sys.executable, "-c", script], env=clean, check=False).returncode == 0


def test_an_archive_without_signature_is_refused(signed: Registry) -> None:
    """Where a key is set, an unsigned archive is as good as none."""
    signed.signature(1).unlink()
    with pytest.raises(UnsignedArchive, match=r"fraud-1\.mar has no signature fraud-1\.sig"):
        signed.verify(1)


def test_a_signature_by_another_key_is_refused(signed: Registry, tmp_path: Path) -> None:
    """Only the one key counts."""
    other = Registry(signed.root, write_keys(tmp_path / "other"))
    with pytest.raises(UnsignedArchive, match=r"fraud-1\.sig is no signature of fraud-1\.mar"):
        other.verify(1)


def test_the_signature_of_another_version_is_refused(signed: Registry) -> None:
    """A signature is of one archive alone."""
    signed.signature(1).write_bytes(signed.signature(2).read_bytes())
    with pytest.raises(UnsignedArchive):
        signed.verify(1)


def test_an_archive_that_was_changed_with_its_entry_is_refused(signed: Registry, tmp_path: Path) -> None:
    """Who can write into the store can write any SHA-256 into an entry, but cannot sign."""
    forged = Registry(tmp_path / "forged" / "model_store", SigningKeys())
    forged.root.parent.mkdir()
    add(forged, tmp_path / "forged", 2)
    for name in ("mar", "json"):
        (signed.root / f"fraud-1.{name}").write_bytes((forged.root / f"fraud-2.{name}").read_bytes())
    entry = replace(forged.entry(2), version=1, file="fraud-1.mar")
    (signed.root / "fraud-1.json").write_bytes(entry.to_bytes())
    Registry(signed.root, SigningKeys()).verify(1)
    with pytest.raises(UnsignedArchive):
        signed.verify(1)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_tampered_signature_is_refused(signed: Registry, data: st.DataObject) -> None:
    """A signature with a changed byte, or cut short, either says the same or is refused; it is never an accident."""
    good = signed.signature(2).read_bytes()
    target = data.draw(st.integers(0, len(good) - 1))
    cut = data.draw(st.booleans())
    bad = (
        good[:target]
        if cut
        else good[:target] + bytes([good[target] ^ data.draw(st.integers(1, 255))]) + good[target + 1 :]
    )
    changed = signed.root / "changed.sig"
    changed.write_bytes(bad)
    archive = signed.root / "fraud-2.mar"
    if cut:
        with pytest.raises(UnsignedArchive):
            signed.keys.verify(archive, changed)
    else:
        try:
            signed.keys.verify(archive, changed)
        except UnsignedArchive:
            return
        with pytest.raises(UnsignedArchive):  # A byte that carries nothing: it still signs this archive alone.
            signed.keys.verify(signed.root / "fraud-1.mar", changed)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "[" * 100_000, '{"verificationMaterial": {}}', "\xff"])
def test_what_is_no_signature_is_refused(signed: Registry, text: str) -> None:
    """Anything else under that name is refused in one line."""
    signed.signature(1).write_text(text)
    with pytest.raises(UnsignedArchive):
        signed.verify(1)


def test_a_signature_that_cannot_be_read_is_refused(signed: Registry) -> None:
    """A directory is no signature."""
    signed.signature(1).unlink()
    signed.signature(1).mkdir()
    with pytest.raises(UnsignedArchive):
        signed.verify(1)


def test_an_existing_version_is_signed_once(registry: Registry, keys: SigningKeys) -> None:
    """A signature that is there is never replaced."""
    signing = Registry(registry.root, keys)
    with pytest.raises(UnsignedArchive):
        signing.verify(1)
    assert signing.sign(1) == signing.signature(1)
    signing.verify(1)
    with pytest.raises(OperationsError, match="never replaced"):
        signing.sign(1)


def test_a_damaged_archive_is_not_signed(registry: Registry, keys: SigningKeys) -> None:
    """A signature says that the archive is the registered one."""
    (registry.root / "fraud-1.mar").write_bytes(b"archive X")
    with pytest.raises(OperationsError, match="SHA-256"):
        Registry(registry.root, keys).sign(1)
    assert not registry.signature(1).exists()


def test_nothing_is_signed_without_a_key(registry: Registry) -> None:
    """The command says which setting is missing."""
    with pytest.raises(OperationsError, match=SIGNING_KEY):
        registry.sign(1)


def test_the_command_signs(registry: Registry, keys: SigningKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    """`fraud models sign` takes its key from the environment, and `fraud models show` demands the signature."""
    monkeypatch.chdir(registry.root.parent)
    monkeypatch.setenv(SIGNING_KEY, str(keys.private))
    monkeypatch.setenv(VERIFY_KEY, str(keys.public))
    messages = CliRunner().invoke(commands, ["models", "sign", "2"], catch_exceptions=False).stdout
    assert messages == f"Wrote {registry.root}/fraud-2.sig.\n"
    with pytest.raises(UnsignedArchive):
        CliRunner().invoke(commands, ["models", "show", "1"], catch_exceptions=False)


def test_an_unsigned_version_is_not_released(target: DeploymentTarget, keys: SigningKeys) -> None:
    """TorchServe never sees it."""
    target = replace(target, registry=Registry(target.store, keys))
    with pytest.raises(UnsignedArchive):
        release(target, 1, lambda _: None)
    assert not target.server.registered()


@pytest.mark.parametrize(
    ("setting", "wrong"),
    [
        (SIGNING_KEY, "none"),
        (SIGNING_KEY, "public.pem"),
        (SIGNING_KEY, "locked/private.pem"),
        (SIGNING_KEY, "bitcoin/private.pem"),
        (VERIFY_KEY, "none"),
        (VERIFY_KEY, "private.pem"),
        (VERIFY_KEY, "bitcoin/public.pem"),
        (VERIFY_KEY, "empty"),
    ],
)
def test_a_key_that_cannot_be_used_is_told(tmp_path: Path, keys: SigningKeys, setting: str, wrong: str) -> None:
    """One line names the setting and the file, before anything is trained or loaded."""
    assert keys.private is not None
    directory = keys.private.parent
    write_keys(directory / "locked", password=b"word")
    write_keys(directory / "bitcoin", ec.SECP256K1())
    (directory / "empty").write_bytes(b"")
    with pytest.raises(OperationsError, match=f"^{setting}=.*{wrong} (cannot be read|holds no)"):
        SigningKeys.of({setting: str(directory / wrong)}).check()


def test_a_training_is_not_lost_to_a_bad_key(tmp_path: Path) -> None:
    """The key is tried before the training."""
    registry = Registry(tmp_path / "model_store", SigningKeys(private=tmp_path / "none"))
    with pytest.raises(OperationsError, match=SIGNING_KEY):
        training.train(registry, training.TrainOptions(None, None, 0, None), Console(quiet=True))
    assert not registry.root.exists()


def test_a_missing_package_is_told(keys: SigningKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting without its packages says what to install, by no name that anyone could publish."""
    for name in ("model_signing", "model_signing.signing", "model_signing.verifying"):
        monkeypatch.setitem(sys.modules, name, None)
    for setting in ({SIGNING_KEY: str(keys.private)}, {VERIFY_KEY: str(keys.public)}):
        with pytest.raises(OperationsError, match=re.escape(f"pip install {to_install('signing')}")):
            SigningKeys.of(setting).check()


def test_a_number_with_a_signature_is_not_used_again(registry: Registry) -> None:
    """The remains of a version are not taken for the next one's signature."""
    (registry.root / "fraud-7.sig").write_text("")
    assert registry.next_version() == 8


def test_a_backup_carries_the_signatures(signed: Registry, tmp_path: Path) -> None:
    """What was signed is signed in the place that it is restored into."""
    made = backup.create(
        BackupSource(StatePaths(tmp_path, signed.root), {}), storage.storage_for(str(tmp_path / "backups")), keep=1
    )
    there = StatePaths(tmp_path / "clone", tmp_path / "clone" / "model_store")
    backup.restore(Path(made.location), there)
    for version in (1, 2):
        Registry(there.store, signed.keys).verify(version)
