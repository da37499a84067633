"""The certificate authorities that this machine trusts, for set-ups: companies sign the traffic of their networks anew."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

__all__ = ["VARIABLES", "find"]

VARIABLES = (
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CARGO_HTTP_CAINFO",
    "GIT_SSL_CAINFO",
)  # fmt: skip
"""What programs read the path of a bundle from."""

_NAMED = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")
_SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_LARGEST = 8 << 20
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


def find(environ: Mapping[str, str]) -> bytes:
    """The certificates of the bundle that the user names, else of the system's; empty when there is none.

    Certificates alone: a private key that lies in the same file stays where it is.
    """
    for name in (*(environ.get(variable, "") for variable in _NAMED), *_SYSTEM):
        path = Path(name)
        try:
            if path.is_absolute() and path.is_file() and path.stat().st_size <= _LARGEST:
                found = _CERTIFICATE.findall(path.read_bytes())
                if found:
                    return b"\n".join(found) + b"\n"
        except OSError:
            continue
    return b""
