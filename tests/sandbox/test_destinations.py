"""Names in one spelling, rules, and the addresses that nothing inside may reach."""

from __future__ import annotations

import ipaddress
import itertools
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.destinations import Malformed, canonical, forbidden, parse_rule, split_authority


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Example.ORG", "example.org"),
        ("example.org.", "example.org"),
        ("a_b.example", "a_b.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("[2001:DB8::A]", "2001:db8::a"),
        ("localhost", "localhost"),
    ],
)
def test_a_host_has_one_spelling(written: str, meant: str) -> None:
    assert canonical(written) == meant


NO_HOSTS = [
    "", ".", "..", "a..b", ".example.org", "example.org..", "-a.example", "a-.example", "a b.example",
    "evil.test\0.example.org", "evil.test\n.example.org", "evil.test\t", "evil%2eexample.org", "%65xample.org",
    "user@example.org", "user:pass@example.org", "example.org#x", "example.org/x", "example.org\\x", "example.org?x",
    "ex\u00e4mple.org", "\u212aelvin.example", "example\u3002org", "e\uff58ample.org", "*.example.org", "a" * 64 + ".example",
    "a." * 127 + "toolong", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.0.0.01", "1.2.3.4.5", "127.0.0.256",
    "a.0x", "a.123", "::1", "[::1", "::1]", "[::1%lo]", "[fe80::1%25eth0]", "[127.0.0.1]", "[v1.x]", "[]", "[[::1]]", "0x", "0",
]  # fmt: skip


@pytest.mark.parametrize("written", NO_HOSTS)
def test_what_could_be_read_in_two_ways_is_no_host(written: str) -> None:
    with pytest.raises(Malformed):
        canonical(written)


@given(st.text(max_size=40))
def test_a_spelling_stays_what_it_is(written: str) -> None:
    try:
        once = canonical(written)
    except Malformed:
        return
    assert canonical(f"[{once}]" if ":" in once else once) == once
    assert once.isascii()
    assert once == once.lower()


@pytest.mark.parametrize(
    "written",
    [
        "a:",
        "a:0",
        "a:65536",
        "a:-1",
        "a:+80",
        "a: 80",
        "a:80:80",
        "a:8_0",
        "a:١",
        "[::1]x:80",
        "[::1]80",
        ":80",
    ],
)
def test_what_is_no_port_is_refused(written: str) -> None:
    with pytest.raises(Malformed):
        split_authority(written)


@pytest.mark.parametrize(
    ("rule", "allows", "allows_not"),
    [
        ("example.org", [("example.org", 443), ("example.org", 80)], [("example.org", 8080), ("www.example.org", 443), ("notexample.org", 443), ("example.org.evil.test", 443)]),
        ("example.org:8443", [("example.org", 8443)], [("example.org", 443), ("example.org", 80)]),
        ("*.example.org", [("a.example.org", 443), ("a.b.example.org", 80)], [("example.org", 443), ("aexample.org", 443), ("a.example.org", 22), ("a.example.org.evil.test", 443)]),
        ("*.example.org:8000", [("a.example.org", 8000)], [("a.example.org", 443)]),
        ("127.0.0.1:9", [("127.0.0.1", 9)], [("127.0.0.1", 80), ("1.127.0.0.1", 9)]),
        ("[::1]:9", [("::1", 9)], [("::1", 80)]),
        ("B\u00fccher.Example.", [("xn--bcher-kva.example", 443)], [("bcher.example", 443)]),
    ],
)  # fmt: skip
def test_a_rule_allows_what_it_says(
    rule: str, allows: list[tuple[str, int]], allows_not: list[tuple[str, int]]
) -> None:
    parsed = parse_rule(rule)
    assert [each for each in allows if not parsed.matches(*each)] == []
    assert [each for each in allows_not if parsed.matches(*each)] == []
    assert parse_rule(str(parsed)) == parsed


@pytest.mark.parametrize(
    "rule", ["", "*", "*.", "**.example.org", "a.*.org", "*example.org", "https://example.org", "example.org/path", "::1", "*.127.0.0.1", "*.[::1]", "a b", "example.org:http", "user@example.org"]
)  # fmt: skip
def test_a_rule_that_means_nothing_is_refused_with_a_sentence(rule: str) -> None:
    with pytest.raises(Malformed, match=r"HOST|beneath"):
        parse_rule(rule)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "loopback"),
        ("127.8.9.1", "loopback"),
        ("0.0.0.0", "loopback"),
        ("0.1.2.3", "loopback"),
        ("::1", "loopback"),
        ("::", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:0.0.0.0", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("2001:0:7f00:1:0:0:80ff:fffe", "loopback"),
        ("169.254.169.254", "link-local"),
        ("169.254.1.1", "link-local"),
        ("::ffff:169.254.169.254", "link-local"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("fe80::1", "link-local"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("224.0.0.1", "single host"),
        ("255.255.255.255", "single host"),
        ("240.0.0.1", "single host"),
        ("ff02::1", "single host"),
    ],
)
def test_addresses_of_this_machine_and_of_its_link_are_forbidden(address: str, why: str) -> None:
    assert why in forbidden(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["10.255.1.9", "192.168.250.9", "1.1.1.1", "fd12:3456::9", "2606:4700::1", "64:ff9b::101:101"]
)
def test_other_private_and_public_hosts_are_not(address: str) -> None:
    assert forbidden(ipaddress.ip_address(address)) == ""


def test_every_address_of_this_machine_is_forbidden() -> None:
    addresses = {entry[4][0] for entry in socket.getaddrinfo(socket.gethostname(), None)}
    with open("/proc/net/fib_trie") as table:
        words = [line.split() for line in table]
    addresses |= {before[1] for before, line in itertools.pairwise(words) if line[1:] == ["host", "LOCAL"]}
    assert len(addresses) > 1
    assert [address for address in addresses if not forbidden(ipaddress.ip_address(address))] == []
