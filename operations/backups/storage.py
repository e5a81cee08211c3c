"""Where backups are kept: a directory, or a bucket of S3-compatible storage (the extra `s3`).

S3 takes its credentials and address from the usual environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION,
and AWS_ENDPOINT_URL for storage that is not Amazon's.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from operations.errors import OperationsError
from operations.files import durable, scratch

if TYPE_CHECKING:
    from obstore.store import S3Store

SCHEME = "s3://"
CHUNK = 8 << 20
RETRIES, RETRY_SECONDS = 3, 60


class StorageFailed(OperationsError):
    """A place for backups cannot be used."""


def storage_for(place: str) -> "Storage":
    """The storage that an option names: a directory, or s3://bucket/prefix."""
    return Bucket(place.rstrip("/")) if place.startswith(SCHEME) else Directory(Path(place))


@contextmanager
def local_copy(file: str) -> Iterator[Path]:
    """A backup as a local file: itself, or a copy from S3 that goes again."""
    if not file.startswith(SCHEME):
        yield Path(file)
        return
    place, _, name = file.rpartition("/")
    with scratch.directory() as temporary:
        fetched = Path(temporary) / "backup.tar"
        storage_for(place).fetch(name, fetched)
        yield fetched


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory, made when it is first written to."""

    root: Path

    def put(self, file: Path, name: str) -> str:
        """Keeps a copy that its owner alone may read: complete under its name, or not at all. Returns its path."""
        self.root.mkdir(parents=True, exist_ok=True)
        durable.copy(file, self.root / name, 0o600)
        return str(self.root / name)

    def sizes(self) -> dict[str, int]:
        """Plain files alone: no directory, no link."""
        files = self.root.iterdir() if self.root.exists() else ()
        return {path.name: path.stat().st_size for path in files if path.is_file() and not path.is_symlink()}

    def fetch(self, name: str, into: Path) -> None:
        """Copies it."""
        durable.copy(self.root / name, into, 0o600)

    def delete(self, name: str) -> None:
        """Unlinks it; another process may have done so."""
        (self.root / name).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A prefix in a bucket, through obstore: it signs, repeats, and sends large files in parts."""

    url: str

    def put(self, file: Path, name: str) -> str:
        """Uploads it; an object appears when it is complete. Returns its URL."""
        with _failures(self.url) as obstore:
            obstore.put(self._store(), name, file, chunk_size=CHUNK)
        return f"{self.url}/{name}"

    def sizes(self) -> dict[str, int]:
        """The objects right below the prefix."""
        with _failures(self.url) as obstore:
            listed = obstore.list_with_delimiter(self._store())
            return {found["path"]: found["size"] for found in listed["objects"]}

    def fetch(self, name: str, into: Path) -> None:
        """Downloads it in chunks."""
        with _failures(f"{self.url}/{name}") as obstore, into.open("wb") as out:
            for chunk in obstore.get(self._store(), name).stream(min_chunk_size=CHUNK):
                out.write(chunk)

    def delete(self, name: str) -> None:
        """Deletes the object."""
        with _failures(self.url) as obstore:
            obstore.delete(self._store(), name)

    def _store(self) -> "S3Store":
        from obstore.store import S3Store

        # Storage in the same room speaks plain HTTP often enough; it must be asked for by its address.
        plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
        return S3Store.from_url(
            self.url,
            client_options={"allow_http": plain},
            retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
        )


Storage = Directory | Bucket


@contextmanager
def _failures(what: str) -> Iterator[ModuleType]:
    """Yields obstore, and turns what it raises into one line; its own texts hold whole answers of the server."""
    try:
        import obstore
        from obstore import exceptions
    except ImportError:
        raise StorageFailed("s3:// needs an optional package: python -m pip install 'obstore>=0.12.1'") from None
    try:
        yield obstore
    except FileNotFoundError:
        raise StorageFailed(f"{what} does not exist") from None
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError):
        raise StorageFailed(f"{what}: access is refused; check the AWS_ credentials in the environment") from None
    except exceptions.BaseError as error:
        kind = type(error).__name__
        raise StorageFailed(
            f"{what} does not answer as S3 should ({kind}); check AWS_ENDPOINT_URL and the credentials"
        ) from None
