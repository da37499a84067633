"""What is put into a project's Dockerfile before it is built: this machine's certificate authorities."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["CERTIFICATES", "trusting"]

CERTIFICATES = ".coder-internal-certificates.pem"
"""The bundle's name in the build context."""
_INSIDE = "/opt/coder/certificates.pem"

_FROM = re.compile(rb"\s*FROM\s+\S", re.IGNORECASE)
_ESCAPE = re.compile(rb"#\s*escape\s*=", re.IGNORECASE)
_HEREDOC = re.compile(rb"<<-?\s*[\"']?\w")


def trusting(dockerfile: bytes, variables: Sequence[str]) -> bytes:
    """`dockerfile` with the bundle copied into every stage and named in `variables` for its commands alone.

    One that cannot be told line by line (another escape character, here-documents) stays as it is.
    """
    lines = dockerfile.splitlines()
    if any(map(_ESCAPE.match, lines[:5])) or any(map(_HEREDOC.search, lines)):
        return dockerfile
    added = [f"COPY {CERTIFICATES} {_INSIDE}", *(f"ARG {name}={_INSIDE}" for name in variables)]
    result: list[bytes] = []
    continued = in_from = False
    for line in lines:
        in_from = in_from if continued else bool(_FROM.match(line))
        result.append(line)
        comment = line.lstrip().startswith(b"#")
        continued = (continued and comment) or (not comment and line.rstrip().endswith(b"\\"))
        if in_from and not continued:
            result += (each.encode() for each in added)
            in_from = False
    return b"\n".join(result) + b"\n"
