"""`make licences`: under which terms each package of each image comes, and whether those are terms we accept."""

import sys
import textwrap
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

from license_expression import (  # type: ignore[import-untyped]
    ExpressionError,
    LicenseExpression,
    get_spdx_licensing,
)

from locks.pins import IMAGES, LOCKS, LockError, Pin, of_image

PAGE = LOCKS.parent / "docs" / "licences.md"
SPDX = get_spdx_licensing()
WIDTH = 120
OLD_NAMES = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License Version 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "ISC License": "ISC",
    "MIT License": "MIT",
}
"""What wheels wrote before SPDX expressions, where it is one licence beyond doubt."""
CLASSIFIERS = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: MIT License": "MIT",
}
"""Classifiers that stand for one licence; "BSD License" stands for several."""


@dataclass(frozen=True)
class LicencePolicy:
    """What is accepted, what of it with a reason, and what was read from packages that do not say."""

    allowed: frozenset[str]
    noted: dict[str, str]
    overrides: dict[str, str]

    def accepts(self, expression: str) -> bool:
        """Whether we may pass on what comes under these terms: of "A OR B" one is enough, of "A AND B" both must be."""
        return self._accepts(_parse(expression))

    def notes(self, expression: str) -> list[str]:
        """The licences in it that are accepted only for a reason."""
        names = {str(one) for one in SPDX.license_symbols(_parse(expression), decompose=False)}
        return [name for name in self.noted if name in names]

    def _accepts(self, terms: LicenseExpression) -> bool:
        if getattr(terms, "operator", "").strip() == "OR":
            return any(self._accepts(one) for one in terms.args)
        if getattr(terms, "operator", "").strip() == "AND":
            return all(self._accepts(one) for one in terms.args)
        return str(terms) in self.allowed | self.noted.keys()


def read_policy(file: Path = LOCKS / "licences.toml") -> LicencePolicy:
    """The policy of this repository."""
    fields = tomllib.loads(file.read_text(encoding="utf-8"))
    return LicencePolicy(frozenset(fields["allowed"]), fields["noted"], fields["found"])


def licence(name: str, policy: LicencePolicy) -> str:
    """The SPDX expression of a package: what was read from its licence file, else what its installed metadata says.

    Raises:
        LockError: neither says one, or the package is not installed and was not read.
    """
    if name in policy.overrides:
        return policy.overrides[name]
    try:
        fields = metadata.metadata(name)
    except metadata.PackageNotFoundError as error:
        raise LockError(f"{name} is not installed: read its licence and add it to locks/licences.toml") from error
    expression = _field(fields, "License-Expression") or _from_old_fields(fields)
    if expression is None:
        raise LockError(f"{name} names no single licence: read its licence file and add it to locks/licences.toml")
    return expression


def refused(pins: Iterable[Pin], policy: LicencePolicy) -> list[str]:
    """The packages whose terms are not accepted, a line each."""
    terms = ((pin.name, licence(pin.name, policy)) for pin in pins)
    return [f"{name}: {expression} is not accepted" for name, expression in terms if not policy.accepts(expression)]


def page(policy: LicencePolicy) -> str:
    """The list for people: each package with its version, its licence and the images it is in."""
    images: dict[str, list[str]] = {}
    pins: dict[str, Pin] = {}
    for image in IMAGES:
        for pin in of_image(image):
            pins[pin.name] = pin
            images.setdefault(pin.name, []).append(image)
    wrap = partial(textwrap.fill, width=WIDTH, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
    notes = [wrap(f"- **{name}**: {reason}") for name, reason in policy.noted.items()]
    rows = [_row(pins[name], images[name], policy) for name in sorted(pins)]
    return "\n".join([HEAD, *notes, "", "| package | version | licence | images |", "|---|---|---|---|", *rows, ""])


def main() -> int:
    """Write the list, unless a licence in it is not accepted.

    Returns:
        0 if it was written, 1 otherwise.
    """
    policy = read_policy()
    try:
        reasons = [line for image in IMAGES for line in refused(of_image(image), policy)]
        text = page(policy)
    except LockError as error:
        reasons, text = [str(error)], ""
    if reasons:
        print("\n  ".join(["Not every licence is accepted.", *sorted(set(reasons))]), file=sys.stderr)
        return 1
    PAGE.write_text(text, encoding="utf-8")
    print(f"{PAGE.relative_to(LOCKS.parent)} is written: every licence is accepted.")
    return 0


HEAD = """# Licences

What the Python packages of each image come under. This page is made by `make licences` from the locks and from the
packages' own metadata; which terms are accepted is in `locks/licences.toml`, and a test holds this page to both. What
the base images and Debian's packages add is in [supply-chain.md](supply-chain.md).

Accepted for a reason:
"""


def _parse(expression: str) -> LicenseExpression:
    try:
        return SPDX.parse(expression)
    except ExpressionError as error:
        raise LockError(f"not an SPDX expression: {expression}") from error


def _field(fields: metadata.PackageMetadata, name: str) -> str:
    return str((fields.get_all(name) or [""])[0]).strip()


def _from_old_fields(fields: metadata.PackageMetadata) -> str | None:
    field = _field(fields, "License")
    if field in OLD_NAMES:
        return OLD_NAMES[field]
    if field and "\n" not in field and not SPDX.validate(field).errors:
        return field
    known = [CLASSIFIERS.get(one) for one in fields.get_all("Classifier") or [] if one.startswith("License ::")]
    return known[0] if len(known) == 1 else None


def _row(pin: Pin, images: list[str], policy: LicencePolicy) -> str:
    expression = licence(pin.name, policy)
    where = "every image" if len(images) == len(IMAGES) else ", ".join(images)
    shown = f"**{expression}**" if policy.notes(expression) else expression
    return f"| {pin.name} | {pin.version} | {shown} | {where} |"


if __name__ == "__main__":
    sys.exit(main())
