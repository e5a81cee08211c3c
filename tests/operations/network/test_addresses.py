"""What a name in a URL stands for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.network import addresses
from operations.network.addresses import UnresolvedName

ADDRESSES = st.sets(st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(str), min_size=2, max_size=5)


def test_a_name_for_one_address_is_used_as_it_is() -> None:
    """The name stays, with its path: what answers there may change its address."""
    assert addresses.resolve_url("http://torchserve:8081/x", lambda *_: ["10.0.0.1"]) == ["http://torchserve:8081/x"]


@given(ADDRESSES)
def test_a_name_for_several_addresses_is_as_many_urls(found: set[str]) -> None:
    """Each address has its URL, with the port of the name's."""
    urls = addresses.resolve_url("http://torchserve:8081", lambda *_: found)
    assert len(urls) == len(set(urls)) == len(found)
    assert all(addresses.resolve_url(url, lambda host, _: [host]) == [url] and url.endswith(":8081") for url in urls)


def test_a_certificate_is_for_a_name() -> None:
    """Behind https:// the name is asked, however many addresses it has."""
    assert addresses.resolve_url("https://gateway", lambda *_: ["10.0.0.1", "10.0.0.2"]) == ["https://gateway"]


def test_a_machine_with_both_kinds_of_addresses_is_one() -> None:
    """This machine is 127.0.0.1 and may be ::1 too; it is not two servers."""
    assert len(addresses.resolve_host("localhost", 80)) == 1


@pytest.mark.parametrize("host", ["no-such-name.invalid", "x" * 70, "a..b"])
def test_a_name_that_stands_for_nothing_is_told(host: str) -> None:
    """One line names it."""
    with pytest.raises(UnresolvedName, match="is no name that can be resolved here"):
        addresses.resolve_host(host, 80)
