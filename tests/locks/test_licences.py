"""The licences: each is known, each is accepted, and the page says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locks import licences
from locks.licences import LicencePolicy
from locks.pins import IMAGES, LockError, Pin, of_image, of_lock

POLICY = licences.read_policy()
GOOD = st.sampled_from(sorted(POLICY.allowed | POLICY.noted.keys()))
BAD = st.sampled_from(["GPL-2.0-only", "GPL-3.0-or-later", "LGPL-2.1-only", "AGPL-3.0-only", "LicenseRef-Unknown"])
TERMS = st.recursive(
    st.tuples(GOOD, st.just(True)) | st.tuples(BAD, st.just(False)),
    lambda some: st.tuples(st.sampled_from(["AND", "OR"]), some, some).map(lambda output: joined(*output)),
    max_leaves=8,
)
"""SPDX expressions, and whether they are acceptable."""


def joined(operator: str, left: tuple[str, bool], right: tuple[str, bool]) -> tuple[str, bool]:
    """Two expressions as one."""
    accepted = left[1] and right[1] if operator == "AND" else left[1] or right[1]
    return f"({left[0]}) {operator} ({right[0]})", accepted


def policy(**found: str) -> LicencePolicy:
    """The policy of this repository, with these packages as read."""
    return LicencePolicy(POLICY.allowed, POLICY.noted, found)


@given(TERMS)
def test_of_two_licences_both_or_one_must_be_accepted(terms: tuple[str, bool]) -> None:
    """AND asks for both, OR leaves the choice to us."""
    expression, accepted = terms
    assert POLICY.accepts(expression) == accepted


@pytest.mark.parametrize(
    "expression", ["GPL-3.0-only", "LGPL-3.0-or-later", "GPL-2.0-only WITH Classpath-exception-2.0"]
)
def test_copyleft_of_the_whole_is_refused(expression: str) -> None:
    """The GPL and the LGPL are in no list, with an exception or without."""
    assert licences.refused([Pin("example", "1", None, ())], policy(example=expression)) == [
        f"example: {expression} is not accepted"
    ]


def test_a_licence_that_is_no_expression_is_refused() -> None:
    """What cannot be read is not accepted."""
    with pytest.raises(LockError, match="not an SPDX expression"):
        policy().accepts("MIT AND OR")


@pytest.mark.parametrize(
    ("name", "expression"), [("pytest", "MIT"), ("pyopenssl", "Apache-2.0"), ("psutil", "BSD-3-Clause")]
)
def test_a_package_says_its_licence(name: str, expression: str) -> None:
    """It is read from the SPDX expression, or from the older fields where they leave no doubt."""
    assert licences.licence(name, policy()) == expression


@pytest.mark.parametrize(("name", "why"), [("jinja2", "no single licence"), ("nvidia-cublas-none", "is not installed")])
def test_a_package_that_does_not_say_must_be_read(name: str, why: str) -> None:
    """A family of licences, or a package that is not here, asks for a person."""
    with pytest.raises(LockError, match=why):
        licences.licence(name, policy())


@pytest.mark.parametrize("image", IMAGES)
def test_every_licence_in_an_image_is_accepted(image: str) -> None:
    """No package of an image comes under terms that we do not accept."""
    assert licences.refused(of_image(image), POLICY) == []


def test_only_images_for_gpus_have_proprietary_packages() -> None:
    """NVIDIA's terms do not reach the images that run on processors."""
    for image in IMAGES:
        proprietary = [pin for pin in of_image(image) if "NVIDIA" in licences.licence(pin.name, POLICY)]
        assert bool(proprietary) == image.endswith("-cuda"), image


def test_every_note_has_a_use() -> None:
    """What was read by hand is still in a lock, and what was accepted for a reason in an image."""
    assert POLICY.overrides.keys() <= {pin.name for locks in IMAGES.values() for lock in locks for pin in of_lock(lock)}
    pins = {pin.name for image in IMAGES for pin in of_image(image)}
    assert {note for name in pins for note in POLICY.notes(licences.licence(name, POLICY))} == POLICY.noted.keys()


def test_the_page_is_of_these_locks() -> None:
    """docs/licences.md is what `make licences` writes today."""
    assert licences.PAGE.read_text(encoding="utf-8") == licences.page(POLICY)
