"""Verify a peer over TLS, where each side shows a certificate that the other one checks."""

from __future__ import annotations

import argparse
import ssl
import sys
from pathlib import Path

from dulcimer import AE, build_context
from dulcimer.sop_class import Verification


def serve(options: argparse.Namespace) -> None:
    """Answer C-ECHO, but only peers with a certificate that --ca has signed."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=options.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(options.cert, options.key)
    ae = AE("ECHO-TLS")
    ae.add_supported_context(Verification)
    ae.start_server((options.host, options.port), ssl_context=context)


def echo(options: argparse.Namespace) -> None:
    """Send C-ECHO to a peer whose certificate names the host."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=options.ca)
    context.load_cert_chain(options.cert, options.key)
    ae, tls = AE("ECHOSCU"), (context, options.host)
    with ae.associate(options.host, options.port, [build_context(Verification)], tls_args=tls) as assoc:
        if not assoc.is_established:
            sys.exit(str(assoc.failure))
        status = assoc.send_c_echo()
        if "Status" not in status:
            sys.exit(str(assoc.failure))
    print(f"C-ECHO: {status.Status:04X}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("serve", "echo"))
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--ca", type=Path, required=True, help="certificate authority of both sides")
    parser.add_argument("--cert", type=Path, required=True, help="our certificate")
    parser.add_argument("--key", type=Path, required=True, help="our private key")
    options = parser.parse_args()
    if options.what == "serve":
        serve(options)
    else:
        echo(options)


if __name__ == "__main__":
    main()
