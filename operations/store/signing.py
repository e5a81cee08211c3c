"""Signed archives (the extra `signing`): OpenSSF model-signing, with an elliptic-curve key of one's own.

A signature is a Sigstore bundle beside the archive, over the archive's SHA-256; the public key alone proves it, and
nobody is asked over the network. The package is imported only where a key is set: it takes half a second.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from operations.errors import OperationsError
from operations.files import plain_file, scratch

if TYPE_CHECKING:
    from model_signing import signing, verifying

SIGNING_KEY, VERIFY_KEY = "MODEL_SIGNING_KEY", "MODEL_VERIFY_KEY"
MAX_SIGNATURE_BYTES = 1 << 20
"""Largest signature that is read; one has some kilobytes."""
KEY_ERRORS = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What model-signing was seen to raise for a key, or for a bundle, that is none."""


class UnsignedArchive(OperationsError):
    """An archive without a valid signature, where one is demanded."""


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """Which keys are set; without any, nothing is signed and no signature is looked at.

    Attributes:
        private: the file of the key that signs new archives: PEM, without a password.
        public: the file of the key that every archive must be signed by: PEM.
    """

    private: Path | None = None
    public: Path | None = None

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Self:
        """The keys that an environment names."""
        private, public = (Path(text) if (text := env.get(name)) else None for name in (SIGNING_KEY, VERIFY_KEY))
        return cls(private, public)

    def check(self) -> None:
        """Refuses keys that cannot be used, before an hour of training is lost to one.

        Raises:
            OperationsError: says which, and what to do.
        """
        if self.private:
            _signer(self.private)
        if self.public:
            _verifier(self.public)

    def sign(self, archive: Path) -> bytes:
        """A signature of an archive.

        Raises:
            OperationsError: there is no key to sign with, or it cannot be used.
        """
        if self.private is None:
            raise OperationsError(f"{SIGNING_KEY} names no private key, so nothing can be signed")
        with scratch.directory() as temporary:
            signature = Path(temporary) / "signature"
            _signer(self.private).sign(archive, signature)
            return signature.read_bytes()

    def verify(self, archive: Path, signature: Path) -> None:
        """Passes an archive that is signed by the public key, and any where no such key is set.

        The archive is read here by its path, so it must lie where nobody else writes; the signature may lie anywhere.

        Raises:
            UnsignedArchive: the signature is missing, damaged, by another key, or of another archive.
            OperationsError: the public key cannot be used.
        """
        if self.public is None:
            return
        verifier = _verifier(self.public)
        try:
            bundle = plain_file.read(signature, MAX_SIGNATURE_BYTES)
        except FileNotFoundError:
            raise UnsignedArchive(
                f"{archive.name} has no signature {signature.name}, which {VERIFY_KEY} demands"
            ) from None
        except OSError as error:
            raise UnsignedArchive(f"{signature.name} cannot be read: {error.strerror}") from None
        if not _is_signed(verifier, archive, bundle):
            raise UnsignedArchive(f"{signature.name} is no signature of {archive.name} by the key of {VERIFY_KEY}")


def _is_signed(verifier: "verifying.Config", archive: Path, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    with scratch.directory() as temporary:
        file = Path(temporary) / "signature"
        file.write_bytes(signature)
        try:
            verifier.verify(archive, file)
        except (InvalidSignature, OSError, *KEY_ERRORS):
            return False
    return True


def _signer(key: Path) -> "signing.Config":
    with _usable(SIGNING_KEY, key, "private"):
        from model_signing import signing

        return signing.Config().use_elliptic_key_signer(private_key=key)  # type: ignore[no-untyped-call]


def _verifier(key: Path) -> "verifying.Config":
    with _usable(VERIFY_KEY, key, "public"):
        from model_signing import verifying

        return verifying.Config().use_elliptic_key_verifier(public_key=key)  # type: ignore[no-untyped-call]


@contextmanager
def _usable(setting: str, key: Path, kind: str) -> Iterator[None]:
    """Turns what a missing package or an unfit key raises into one line; it repeats nothing of the key."""
    try:
        yield
    except ImportError:
        raise OperationsError(
            f"{setting} needs optional packages: python -m pip install 'model-signing>=1.1.1,<2' 'pyopenssl>=26.4'"
        ) from None
    except OSError as error:
        raise OperationsError(f"{setting}={key} cannot be read: {error.strerror}") from None
    except KEY_ERRORS:
        what = f"{kind} key on the curve P-256, P-384 or P-521, as PEM without a password"
        raise OperationsError(f"{setting}={key} holds no {what}") from None
