import hashlib
import json
import re
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import contract
from contract.model_card import ModelCard
from contract.schema import Contract
from tests import tiny
from training import archive
from training.archive import Parts
from training.errors import TrainingError
from training.train import Trained


def _parts(trained: Trained, version: int = 1, model: bytes = b"model") -> Parts:
    return Parts(model, trained.contract, replace(trained.card, version=version), trained.golden, b"# handler\n")


def _read(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as opened:
        return opened.read(name)


def test_archive_holds_the_version(trained: Trained) -> None:
    """An archive has all that a worker needs, under its version's name."""
    assert trained.archive.name == "fraud-3.mar"
    with zipfile.ZipFile(trained.archive) as opened:
        names = set(opened.namelist())
    assert names >= {"model.pt", "fraud_handler.py", "contract.json", "card.json", "golden.json", "checksums.json"}
    assert names >= {"contract/__init__.py", "contract/schema.py", "MAR-INF/MANIFEST.json"}


def test_manifest_names_model_and_version(trained: Trained) -> None:
    """TorchServe is told the model's name, its version as text, and the handler."""
    model = json.loads(_read(trained.archive, "MAR-INF/MANIFEST.json"))["model"]
    assert (model["modelName"], model["modelVersion"], model["handler"]) == ("fraud", "3", "fraud_handler.py")


def test_checksums_cover_every_other_file(trained: Trained) -> None:
    """Each file but the checksums and the archiver's own is listed with its SHA-256."""
    sums = json.loads(_read(trained.archive, "checksums.json"))
    with zipfile.ZipFile(trained.archive) as opened:
        files = {n for n in opened.namelist() if not n.startswith("MAR-INF/")} - {"checksums.json"}
    assert set(sums) == files
    for name, digest in sums.items():
        assert hashlib.sha256(_read(trained.archive, name)).hexdigest() == digest


def test_contract_and_card_come_back_as_they_went_in(trained: Trained) -> None:
    """What a worker reads is what training returned, to the fingerprint."""
    assert Contract.from_bytes(_read(trained.archive, "contract.json")).fingerprint == trained.contract.fingerprint
    card = ModelCard.from_json(json.loads(_read(trained.archive, "card.json")))
    assert (card.version, card.bands) == (trained.card.version, trained.card.bands)


def test_the_worker_has_every_module_of_the_contract(trained: Trained) -> None:
    """A new module of the contract package travels by itself."""
    with zipfile.ZipFile(trained.archive) as opened:
        packed = {Path(name).name for name in opened.namelist() if name.startswith("contract/")}
    assert packed == {file.name for file in Path(contract.__file__).parent.glob("*.py")}


def test_the_handler_proves_a_version_with_a_past(trained: Trained, tmp_path: Path) -> None:
    """The golden rows bring their history: the handler scores them as training did, and another past is not proven."""
    with zipfile.ZipFile(trained.archive) as opened:
        opened.extractall(tmp_path)
    shutil.rmtree(tmp_path / "MAR-INF")
    assert tiny.load(tmp_path, 3).description.contract.history
    golden = json.loads((tmp_path / "golden.json").read_bytes())
    golden["history"] = golden["history"][::-1]
    (tmp_path / "golden.json").write_text(json.dumps(golden))
    _sums(tmp_path)
    with pytest.raises(RuntimeError, match="do not score as they did"):
        tiny.load(tmp_path, 3)


def _sums(directory: Path) -> None:
    sums = json.loads((directory / "checksums.json").read_bytes())
    sums["golden.json"] = hashlib.sha256((directory / "golden.json").read_bytes()).hexdigest()
    (directory / "checksums.json").write_text(json.dumps(sums))


def test_parallel_builds_do_not_mix(trained: Trained, tmp_path: Path) -> None:
    """Two builds at once into one directory each pack their own model, and nothing else is left behind."""
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda v: archive.build(_parts(trained, v, b"model %d" % v), tmp_path), (1, 2)))
    assert [_read(path, "model.pt") for path in paths] == [b"model 1", b"model 2"]
    assert {path.name for path in tmp_path.iterdir()} == {"fraud-1.mar", "fraud-2.mar"}


def test_a_directory_with_a_comma_is_no_trouble(trained: Trained, tmp_path: Path) -> None:
    """The archiver splits its arguments at commas; the directory's name is never among them."""
    assert archive.build(_parts(trained), tmp_path / "models, new [1]").exists()


def test_a_version_is_replaced_whole(trained: Trained, tmp_path: Path) -> None:
    """Building a version again leaves the new one in the old one's place."""
    archive.build(_parts(trained, model=b"old"), tmp_path)
    assert _read(archive.build(_parts(trained, model=b"new"), tmp_path), "model.pt") == b"new"


def test_an_unwritable_place_is_refused(trained: Trained, tmp_path: Path) -> None:
    """A file where the directory should be is a clear refusal."""
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot be written"):
        archive.build(_parts(trained), tmp_path / "file")


def test_packed_sources_know_nothing_of_redis(trained: Trained) -> None:
    """A worker's archive holds no key or script of Redis, and neither `history` nor `releases`."""
    with zipfile.ZipFile(trained.archive) as opened:
        names = opened.namelist()
        sources = {name: opened.read(name).decode() for name in names if name.endswith(".py")}
    assert not [name for name in names if name.startswith(("history/", "releases/"))]
    for name, source in sources.items():
        assert "redis" not in source.lower(), name
        assert not re.search("['\"]fraud:", source.lower()), name  # As all keys of Redis begin.
        assert "EVAL" not in source, name
