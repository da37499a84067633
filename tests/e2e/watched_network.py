"""Runs one `coder fix` in a network of its own where every packet is seen, and prints where it wanted to go.

Run it as root:  unshare --net python tests/e2e/watched_network.py REPOSITORY

The loopback interface takes every address there, so that an attempt to reach any machine becomes a packet that can be
counted instead of an error that nobody sees.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.e2e.conftest import SOLVES, command, scripted  # noqa: E402 (run as a script)

ETH_P_ALL, TCP, UDP, SYN, ACK = 3, 6, 17, 0x02, 0x10


def main() -> None:
    for words in ("link set lo up", "route add default dev lo", "-6 route add default dev lo"):
        subprocess.run(["ip", *words.split()], check=True)
    seen: set[str] = set()
    ready = threading.Event()
    threading.Thread(target=watch, args=(seen, ready), daemon=True).start()
    assert ready.wait(10)
    knock()
    with scripted(SOLVES) as server:
        done = subprocess.run(
            command(Path(sys.argv[1]), server), capture_output=True, text=True, timeout=120, check=False
        )
        port = server.port
    print(json.dumps({"exit": done.returncode, "port": port, "seen": sorted(seen), "stderr": done.stderr}))
    sys.stdout.flush()
    os._exit(0)


def knock() -> None:
    """Two attempts that must be seen, or the watch is worth nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.sendto(b"x", ("192.0.2.1", 53))
    with socket.socket() as probe:
        probe.setblocking(False)
        probe.connect_ex(("198.51.100.7", 443))


def watch(seen: set[str], ready: threading.Event) -> None:
    """Note the destination of each datagram and of each new connection."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as wire:
        wire.bind(("lo", 0))
        ready.set()
        while True:
            if target := destination(wire.recv(65535)):
                seen.add(target)


def destination(packet: bytes) -> str:
    if packet[0] >> 4 == 4:
        protocol, start, address = packet[9], (packet[0] & 15) * 4, socket.inet_ntoa(packet[16:20])
    else:
        protocol, start, address = packet[6], 40, socket.inet_ntop(socket.AF_INET6, packet[24:40])
    if protocol == TCP and packet[start + 13] & (SYN | ACK) != SYN:
        return ""
    if protocol not in (TCP, UDP):
        return ""
    (port,) = struct.unpack_from("!H", packet, start + 2)
    return f"{'tcp' if protocol == TCP else 'udp'} {address} {port}"


if __name__ == "__main__":
    main()
