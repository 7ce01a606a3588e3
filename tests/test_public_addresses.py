"""Which addresses are public: those of IANA's registries are not, nor what wraps one of them in IPv6."""

from __future__ import annotations

import ipaddress

import pytest

from limner.core.errors import LimnerError
from limner.fetch import check_public, is_public, vetted

PRIVATE = [
    *(
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "169.254.169.254",
    ),
    *("172.16.0.1", "172.31.255.255", "192.168.0.1", "198.18.0.1", "198.19.255.255", "240.0.0.1", "255.255.255.255"),
    *("192.0.2.1", "198.51.100.1", "203.0.113.1", "192.0.0.1", "192.0.0.9", "192.0.0.255", "192.88.99.1"),
    *("224.0.0.1", "224.0.1.1", "233.1.2.3", "239.255.255.255"),
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
]
PUBLIC += [
    "126.255.255.255",
    "128.0.0.1",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
]


def mapped(address: str) -> str:
    return f"::ffff:{address}"


def compatible(address: str) -> str:
    return str(ipaddress.IPv6Address(int(ipaddress.IPv4Address(address))))


def nat64(address: str) -> str:
    return str(ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) | int(ipaddress.IPv4Address(address))))


def sixtofour(address: str) -> str:
    """RFC 3056: 2002:V4ADDR::/48."""
    return str(ipaddress.IPv6Address((0x2002 << 112) | (int(ipaddress.IPv4Address(address)) << 80) | 1))


def teredo(client: str, server: str = "8.8.8.8") -> str:
    """RFC 4380: 2001:0000, the server, flags, the port and the client, both with their bits inverted."""
    parts = (0x20010000 << 96) | (int(ipaddress.IPv4Address(server)) << 64) | (0x8000 << 48)
    return str(
        ipaddress.IPv6Address(parts | ((0xFFFF ^ 40000) << 32) | (int(ipaddress.IPv4Address(client)) ^ 0xFFFFFFFF))
    )


@pytest.mark.parametrize("address", PRIVATE)
def test_private_and_special_ones_are_not_public_however_they_are_wrapped(address: str) -> None:
    for wrapped in (address, mapped(address), compatible(address), nat64(address), sixtofour(address)):
        assert not is_public(wrapped), wrapped


@pytest.mark.parametrize("address", PUBLIC)
def test_neighbours_of_theirs_are(address: str) -> None:
    for wrapped in (address, mapped(address), sixtofour(address)):
        assert is_public(wrapped), wrapped


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1"])
def test_a_teredo_address_is_not_public_by_its_client_nor_by_its_server(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_public(teredo(address)) and not is_public(teredo("8.8.8.8", server=address))
    # Python takes all of Teredo's network for private. A version that does not must change nothing.
    monkeypatch.setattr(ipaddress.IPv6Address, "is_global", property(lambda self: True))
    monkeypatch.setattr(ipaddress.IPv6Address, "is_reserved", property(lambda self: False))
    assert is_public(teredo("8.8.8.8", server="1.1.1.1"))
    assert not is_public(teredo(address)) and not is_public(teredo("8.8.8.8", server=address))
    assert not is_public(sixtofour(address)) and not is_public(nat64(address)) and not is_public(compatible(address))
    for special in ("64:ff9b:1::a00:1", "fec0::1"):
        assert not is_public(special), "no version of Python shall make these public"


@pytest.mark.parametrize(
    "address",
    [
        "::",
        "::1",
        "fc00::1",
        "fdff::1",
        "fe80::1",
        "fe80::1%eth0",
        "febf::1",
        "fec0::1",
        "feff::1",
        "ff02::1",
        "ff0e::1",
    ]
    + ["2001:db8::1", "100::1", "64:ff9b:1::a00:1"],
)
def test_special_ones_of_ipv6(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["2606:4700::1111", "2001:4860:4860::8888", "2a00:1450::1"])
def test_public_ones_of_ipv6(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://user@example.com/",
        "http://:word@example.com/",
        "http://@example.com/",
        "http://127.1/",
        "http://0x7f000001/",
        "http://example.com:0/",
        "ftp://example.com/",
        "http://exa mple.com/",
        "http://example.com/\n",
        "http://example.com/\t",
        "http://example.com/\x1f",
        "http://example.com\\@x/",
        "http://exämple.com/",
        "http://example.com/" + "a" * 2030,
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(LimnerError, match="anyone can reach"):
        vetted(url)


def test_a_url_has_2048_characters_at_most() -> None:
    url = "http://example.com/".ljust(2048, "a")
    assert vetted(url).geturl() == url
    with pytest.raises(LimnerError, match="is not a plain URL"):
        vetted(url + "a")


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "https://[::1]:8443/", "http://10.1.2.3/x", "http://[fd00::1]/"])
def test_an_address_that_is_written_out_shows_that_it_is_private(url: str) -> None:
    with pytest.raises(LimnerError, match="is not at a public address"):
        check_public(url)


@pytest.mark.parametrize("url", ["https://example.com/hook", "http://8.8.8.8/", "https://[2606:4700::1111]/"])
def test_public_urls(url: str) -> None:
    check_public(url)
