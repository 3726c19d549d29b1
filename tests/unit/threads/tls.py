"""A certificate for 127.0.0.1 and the two ends of TLS connections."""

from __future__ import annotations

import socket
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dulcimer.threads.transport import TLSTransport, Transport, start_tls
from unit.threads.ends import PATIENCE, InBackground


@lru_cache
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the context of a client and that of a server."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoded = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    client = ssl.create_default_context(cadata=encoded.decode())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "server.pem"
        path.write_bytes(encoded + private)
        server.load_cert_chain(path)
    return client, server


def secured(client: socket.socket, server: socket.socket) -> tuple[TLSTransport, TLSTransport]:
    """Shake hands on a connection."""
    ours, theirs = contexts()
    accepting = InBackground(lambda: start_tls(server, theirs, server_side=True, timeout=PATIENCE))
    transport = start_tls(client, ours, server_side=False, server_hostname="localhost", timeout=PATIENCE)
    accepted = accepting.result()
    # The server's session tickets, which would be seen as input.
    transport.receive(memoryview(bytearray(1)), 0.0)
    return transport, accepted


def wrap(client: socket.socket, server: socket.socket) -> tuple[Transport, Transport]:
    return secured(client, server)
