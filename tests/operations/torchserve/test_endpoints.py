"""Which TorchServes two URLs stand for."""

from operations.torchserve.endpoints import TorchServeEndpoint, resolve_endpoints

URLS = ("http://torchserve-management:8081", "http://torchserve:8080")


def test_one_address_is_one_server_with_the_urls_as_given() -> None:
    """Management and inference may be different names, on different networks."""
    assert resolve_endpoints(*URLS, lambda *_: ["10.0.0.1"]) == [TorchServeEndpoint(*URLS)]


def test_each_address_is_a_server_and_scores_there() -> None:
    """The inference name may lead to any of them, so that each is asked at its own address."""
    found = resolve_endpoints(*URLS, _both)
    assert found == [
        TorchServeEndpoint("http://10.0.0.1:8081", "http://10.0.0.1:8080"),
        TorchServeEndpoint("http://10.0.0.2:8081", "http://10.0.0.2:8080"),
    ]


def _both(host: str, port: int) -> list[str]:
    assert (host, port) == ("torchserve-management", 8081)
    return ["10.0.0.2", "10.0.0.1"]


def test_a_slash_at_the_end_is_no_part_of_the_address() -> None:
    """As people write URLs, with it or without."""
    server = TorchServeEndpoint("http://there:8081/", "http://there:8080/").server()
    assert server.address == "http://there:8081"
    server.close()
