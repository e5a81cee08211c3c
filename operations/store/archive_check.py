"""What an archive may hold, checked before anything unpacks it: TorchServe itself would unpack whatever it is given.

A .mar is a zip file. Refused are links, paths that leave the directory, names that are there twice, more bytes than
the bounds, a file that is missing, and a file whose content is not what the archive's own checksums say. TorchServe
goes by the headers before the files and not by the listing at the end, so both must tell the same.
"""

import hashlib
import json
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

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
MAX_FILES = 200
MAX_BYTES = 1 << 30
"""Unpacked; the default model has 0.1 MB."""
MAX_CHECKSUMS_BYTES = 1 << 20
CHUNK = 1 << 16
"""Bytes read at once; they unpack to 64 MB at most."""
HEADER = struct.Struct("<4s2xHHxxxxIIIHH")
"""Before each file: signature, flags, method, CRC, sizes packed and unpacked, lengths of its name and extra field."""
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
MALFORMED_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, NotImplementedError),
    *(ValueError, KeyError, TypeError, AttributeError, RuntimeError, OverflowError),
)
"""What a file that is no whole archive has been seen to raise, or may."""


class RefusedArchive(OperationsError):
    """An archive that must not be unpacked."""


def check_archive(path: Path) -> None:
    """Reads an archive through once, without unpacking it anywhere.

    Raises:
        RefusedArchive: it is not an archive as training builds them.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            _check_names(archive)
            _check_contents(archive, _checksums(file, archive))
    except MALFORMED_ERRORS as error:
        raise RefusedArchive(f"{path.name} is not a whole archive ({type(error).__name__})") from None


def _check_names(archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    names = [member.filename for member in members]
    if len(members) > MAX_FILES or sum(member.file_size for member in members) > MAX_BYTES:
        raise RefusedArchive("the archive holds more than a model version does")
    if len({name.rstrip("/").casefold() for name in names}) != len(names):
        raise RefusedArchive("the archive holds a name twice")
    if missing := REQUIRED - set(names):
        raise RefusedArchive(f"the archive lacks {', '.join(sorted(missing))}")
    if not all(_is_plain(member) for member in members):
        raise RefusedArchive("the archive holds a link, or a path that leads out of it")


def _is_plain(member: zipfile.ZipInfo) -> bool:
    """Whether it is a file or a directory under a name that every program reads the same."""
    name = member.filename
    path = PurePosixPath(name)
    kind_is_plain = stat.S_IFMT(member.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
    name_is_plain = name.isascii() and "\\" not in name and name == member.orig_filename
    is_inside = not path.is_absolute() and ".." not in path.parts and str(path) == name.removesuffix("/")
    return kind_is_plain and name_is_plain and is_inside


def _checksums(file: IO[bytes], archive: zipfile.ZipFile) -> dict[str, str]:
    """The SHA-256 of each file; they must lie one after the other, from the first byte to the listing."""
    sums, place = {}, 0
    for member in sorted(archive.infolist(), key=lambda member: member.header_offset):
        file.seek(place)
        if member.header_offset != place or not _header_matches(file, member):
            raise RefusedArchive(f"the archive's listing and its {member.filename} do not agree")
        sums[member.filename] = _sha256(file, member)
        place = file.tell()
    if place != archive.start_dir:
        raise RefusedArchive("the archive holds more than it lists")
    return sums


def _header_matches(file: IO[bytes], member: zipfile.ZipInfo) -> bool:
    """Whether the header before a file is what the listing says; the file's bytes are next then."""
    signature, flags, method, *numbers, name_length, extra_length = HEADER.unpack(file.read(HEADER.size))
    name = file.read(name_length)
    file.seek(extra_length, 1)
    listed = [member.CRC, member.compress_size, member.file_size]
    flags &= ~0x0806  # Those of a name in UTF-8 and of how hard to pack.
    header = (signature, flags, method, numbers, name)
    return method in METHODS and header == (b"PK\3\4", 0, member.compress_type, listed, member.filename.encode())


def _sha256(file: IO[bytes], member: zipfile.ZipInfo) -> str:
    digest, crc, left = hashlib.sha256(), 0, member.file_size
    for chunk in _decompressed(file, member):
        left -= len(chunk)
        if left < 0:
            raise RefusedArchive(f"the archive's {member.filename} is larger than it says")
        digest.update(chunk)
        crc = zlib.crc32(chunk, crc)
    if left or crc != member.CRC:
        raise RefusedArchive(f"the archive's {member.filename} is not whole")
    return digest.hexdigest()


def _decompressed(file: IO[bytes], member: zipfile.ZipInfo) -> Iterator[bytes]:
    """All that a file unpacks to; `zipfile` itself would stop at the size that the listing says."""
    unpack = zlib.decompressobj(-zlib.MAX_WBITS) if member.compress_type == zipfile.ZIP_DEFLATED else None
    left = member.compress_size
    while left and (chunk := file.read(min(CHUNK, left))):
        left -= len(chunk)
        yield unpack.decompress(chunk) if unpack else chunk
    if left or (unpack and (unpack.unused_data or not unpack.eof)):
        raise RefusedArchive(f"the archive's {member.filename} is not whole")


def _check_contents(archive: zipfile.ZipFile, sums: dict[str, str]) -> None:
    """Each file has the SHA-256 that checksums.json says; what torch-model-archiver adds in MAR-INF has none."""
    if archive.getinfo("checksums.json").file_size > MAX_CHECKSUMS_BYTES:
        raise RefusedArchive("the archive's checksums are larger than a list of its files can be")
    expected: dict[str, str] = dict(json.loads(archive.read("checksums.json")))
    files = {member.filename for member in archive.infolist() if not member.is_dir()} - {"checksums.json"}
    packed = {name for name in files if not name.startswith("MAR-INF/")}
    if packed != set(expected):
        raise RefusedArchive("the archive's files are not those of its checksums")
    for name in packed:
        if sums[name] != expected[name]:
            raise RefusedArchive(f"the archive's {name} is not the file that training packed")
