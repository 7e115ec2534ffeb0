"""The certificate authority of this run, and a certificate of it for a server on loopback."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import trustme


@functools.cache
def authority() -> trustme.CA:
    """The authority, which nobody else trusts."""
    return trustme.CA()


def authority_pem() -> str:
    """Its certificate, for a client's option `ca`."""
    return authority().cert_pem.bytes().decode()


@functools.cache
def server_pem() -> str:
    """A file with the server's key and certificate."""
    folder = Path(tempfile.mkdtemp(prefix="siox-tls-"))
    path = folder / "server.pem"
    authority().issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(path))
    return str(path)
