"""What an archive may hold, checked before anything unpacks it: TorchServe itself would unpack whatever it is given.

A .mar is a zip file. Refused are links, paths that leave the directory, names that are there twice, more bytes than
the bounds, a file that is missing, and a file whose content is not what the archive's own checksums say.
"""

import hashlib
import json
import stat
import zipfile
from pathlib import Path, PurePosixPath

from operations.errors import OperationsError

REQUIRED = frozenset(
    {
        "MAR-INF/MANIFEST.json",
        "model.pt",
        "fraud_handler.py",
        "contract.json",
        "card.json",
        "golden.json",
        "checksums.json",
        "contract/__init__.py",
    }
)
MOST_FILES = 200
MOST_BYTES = 1 << 30
"""Unpacked; the default model has 0.1 MB."""
SUMS_BYTES = 1 << 20
CHUNK = 1 << 20


class RefusedArchive(OperationsError):
    """An archive that must not be unpacked."""


def check_listing(path: Path) -> None:
    """Reads an archive through once, without unpacking it anywhere.

    Raises:
        RefusedArchive: it is not an archive as training builds them.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_names(archive)
            _check_contents(archive)
    except (zipfile.BadZipFile, OSError, ValueError, KeyError, RuntimeError, EOFError, NotImplementedError) as error:
        raise RefusedArchive(f"{path.name} is not a whole archive ({type(error).__name__})") from None


def _check_names(archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    names = [member.filename for member in members]
    if len(members) > MOST_FILES or sum(member.file_size for member in members) > MOST_BYTES:
        raise RefusedArchive("the archive holds more than a model version does")
    if len({name.casefold() for name in names}) != len(names):
        raise RefusedArchive("the archive holds a name twice")
    if missing := REQUIRED - set(names):
        raise RefusedArchive(f"the archive lacks {', '.join(sorted(missing))}")
    if not all(_is_plain(member) for member in members):
        raise RefusedArchive("the archive holds a link, or a path that leads out of it")


def _is_plain(member: zipfile.ZipInfo) -> bool:
    mode = member.external_attr >> 16
    path = PurePosixPath(member.filename)
    kind_is_plain = stat.S_IFMT(mode) in (0, stat.S_IFREG, stat.S_IFDIR)
    return kind_is_plain and not path.is_absolute() and ".." not in path.parts and "\\" not in member.filename


def _check_contents(archive: zipfile.ZipFile) -> None:
    """Each file has the size that the listing says (a bomb has not) and the SHA-256 that checksums.json says."""
    if archive.getinfo("checksums.json").file_size > SUMS_BYTES:
        raise RefusedArchive("the archive's checksums are larger than a list of its files can be")
    expected: dict[str, str] = json.loads(archive.read("checksums.json"))
    files = {member.filename for member in archive.infolist() if not member.is_dir()}
    loose = {name for name in files if not name.startswith("MAR-INF/")} - {"checksums.json"}
    if loose != set(expected):
        raise RefusedArchive("the archive's files are not those of its checksums")
    for name in files:
        if _sha256(archive, name) != expected.get(name) and name in expected:
            raise RefusedArchive(f"the archive's {name} is not the file that training packed")


def _sha256(archive: zipfile.ZipFile, name: str) -> str:
    digest, left = hashlib.sha256(), archive.getinfo(name).file_size
    with archive.open(name) as file:
        while chunk := file.read(CHUNK):
            left -= len(chunk)
            if left < 0:
                raise RefusedArchive(f"the archive's {name} is larger than it says")
            digest.update(chunk)
    return digest.hexdigest()
