"""Where a sandbox may connect to: host names in one spelling, the rules that allow them, addresses that none may have.

A name is allowed or refused as text, before anything is looked up; its addresses are judged afterwards, each of them.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

USUAL_PORTS = (80, 443)
"""Ports that a rule without a port allows."""
LARGEST_PORT = 65535

_NAME_LENGTH = 253
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # how C libraries recognise an address: 1, 010, 0x7f000001
_PORT = re.compile(r"[0-9]{1,5}")

# Services that hand out a cloud machine's credentials outside of 169.254.0.0/16 and fe80::/10
_METADATA: frozenset[Address] = frozenset(
    ipaddress.ip_address(text)
    for text in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
)
_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")  # connecting to it reaches this machine
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Malformed(ValueError):
    """A host, an authority or a rule that is not spelt as it must be."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An allowed destination. `host` is canonical; a wildcard allows the names beneath it, not itself."""

    host: str
    port: int | None = None
    wildcard: bool = False

    def matches(self, host: str, port: int) -> bool:
        """Whether it allows this canonical host and port."""
        if port not in (USUAL_PORTS if self.port is None else (self.port,)):
            return False
        return host.endswith(f".{self.host}") if self.wildcard else host == self.host

    def __str__(self) -> str:
        return ("*." if self.wildcard else "") + shown(self.host, self.port)


def shown(host: str, port: int | None) -> str:
    """HOST or HOST:PORT, an IPv6 address in brackets."""
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"


def canonical(text: str) -> str:
    """The one spelling of a host: lower case, no final dot, an address as the standard library writes it.

    An IPv6 address comes in brackets and leaves without. Raises Malformed for everything that is neither a name nor
    a plain address: control characters, escapes, user names, zones, IPv4 addresses in other bases or with fewer parts.
    """
    if not text.isascii():
        raise Malformed("a host name must be written in ASCII")
    if text.startswith("[") and text.endswith("]"):
        return _ipv6(text[1:-1])
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > _NAME_LENGTH or not all(_LABEL.fullmatch(label) for label in labels):
        raise Malformed("not a host name")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError as error:
            raise Malformed("not an IPv4 address in its usual form") from error
    return name


def _ipv6(text: str) -> str:
    if "%" in text:
        raise Malformed("an address with a zone")
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError as error:
        raise Malformed("not an IPv6 address") from error


def split_authority(text: str) -> tuple[str, int | None]:
    """Canonical host and port of HOST[:PORT]. Raises Malformed."""
    host, separator, port = text, "", ""
    if not text.endswith("]"):
        head, colon, last = text.rpartition(":")
        host, separator, port = (head, colon, last) if colon else (text, "", "")
    if not separator:
        return canonical(host), None
    if not _PORT.fullmatch(port) or not 0 < int(port) <= LARGEST_PORT:
        raise Malformed("not a port")
    return canonical(host), int(port)


def parse_rule(text: str) -> Rule:
    """HOST, HOST:PORT, *.DOMAIN or *.DOMAIN:PORT, as a user writes it. Raises Malformed with a sentence."""
    wildcard = text.startswith("*.")
    written = text[2:] if wildcard else text
    try:
        if not written.isascii():
            written = written.encode("idna").decode()
        host, port = split_authority(written)
    except ValueError as error:
        raise Malformed(
            f"{text!r} is not HOST, HOST:PORT, *.DOMAIN or *.DOMAIN:PORT ({error}); "
            "no scheme, no path; an IPv6 address in brackets"
        ) from error
    if wildcard and is_address(host):
        raise Malformed(f"{text!r}: an address has no names beneath it")
    return Rule(host, port, wildcard)


def is_address(host: str) -> bool:
    """Whether a canonical host is an address."""
    return address_of(host) is not None


def address_of(host: str) -> Address | None:
    """The address that a canonical host is, if it is one."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def forbidden(address: Address) -> str:
    """Why nothing inside may connect to `address`, in words; empty when it may."""
    for each in _meant(address):
        if each.is_loopback or each.is_unspecified or (each.version == 4 and each in _THIS_NETWORK):
            return "this machine's own loopback"
        if each.is_link_local:
            return "a link-local address"
        if each in _METADATA:
            return "a cloud's metadata service"
        if each.is_multicast or each.is_reserved:
            return "no address of a single host"
        if _is_own(each):
            return "an address of this machine"
    return ""


def _meant(address: Address) -> Iterable[Address]:
    """`address`, or the IPv4 address within it: what the kernel or a gateway would connect to."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.teredo is not None:
        return [*address.teredo]
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address.ipv4_mapped or address.sixtofour or address]


def _is_own(address: Address) -> bool:
    """Whether this machine itself has `address`: only then does the kernel answer from that same address."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))  # of a datagram socket: nothing is sent
            return ipaddress.ip_address(probe.getsockname()[0]) == address
    except OSError:
        return False
