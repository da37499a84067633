"""A program of its own, run inside a sandbox as `python3 -I -S -c SOURCE DOOR [COMMAND …]`.

Listens on the proxy's address in the sandbox's own network, passes the listening socket out through DOOR (the number
of a connected descriptor, or the path of a socket) and becomes COMMAND, which inherits none of it.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

ADDRESS = ("127.0.0.1", 3128)
BACKLOG = 128


def main(door: str, command: list[str]) -> None:
    listener = socket.socket()
    listener.bind(ADDRESS)
    listener.listen(BACKLOG)
    if door.isdecimal():
        out = socket.socket(fileno=int(door))
    else:
        out = socket.socket(socket.AF_UNIX)
        out.connect(door)
    number = listener.fileno().to_bytes(4, sys.byteorder)
    out.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, number)])  # send_fds() came with Python 3.9
    out.close()
    listener.close()
    if command:
        # Python ignores these two, and ignoring is inherited
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
