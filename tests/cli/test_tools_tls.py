"""TLS and user identity of the tools: against each other, DCMTK's and pynetdicom's."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from cli.inprocess import dulcimer
from cli.tooling import Certificates, Server, free_port, has_ipv6, make_certificates, ours, real_file, run
from interop.dcmtk import needs, program

if TYPE_CHECKING:
    from collections.abc import Iterator

SOON = 5.0
"""Seconds, far fewer than any timeout here, within which it is said that only one side speaks TLS."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("servers")


def _server(certificates: Certificates, folder: Path, *options: str) -> Server:
    cert, key = certificates.server
    return ours("echoscp", "--tls-cert", cert, "--tls-key", key, *options, folder=folder)


@pytest.fixture(scope="module")
def secure(certificates: Certificates, folder: Path) -> Iterator[Server]:
    with _server(certificates, folder) as server:
        yield server


@pytest.fixture(scope="module")
def mutual(certificates: Certificates, folder: Path) -> Iterator[Server]:
    with _server(certificates, folder, "--tls-ca", certificates.authority) as server:
        yield server


@pytest.fixture(scope="module")
def plain(folder: Path) -> Iterator[Server]:
    with ours("echoscp", folder=folder) as server:
        yield server


def echo(port: int, *options: str, host: str = "localhost") -> Any:
    return dulcimer("echoscu", host, str(port), *options)


def test_tls(secure: Server, certificates: Certificates) -> None:
    done = echo(secure.port, "--tls-ca", certificates.authority, "--json")
    assert done.code == 0
    assert json.loads(done.out)["status"] == "0000"


def test_tls_1_3_only(certificates: Certificates, secure: Server) -> None:
    assert echo(secure.port, "--tls-ca", certificates.authority, "--tls-profile", "tls1.3").code == 0


def test_tls_1_2(certificates: Certificates, folder: Path, plain: Server) -> None:
    """A server that knows nothing newer."""
    from dulcimer import AE
    from dulcimer.tls import TLS

    context = TLS(*certificates.server).server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    ae = AE("OLD")
    ae.add_supported_context("1.2.840.10008.1.1")
    server = ae.start_server(("127.0.0.1", 0), block=False, ssl_context=context)
    assert server is not None
    try:
        port = int(server.server_address[1])
        assert echo(port, "--tls-ca", certificates.authority, host="127.0.0.1").code == 0
        done = echo(port, "--tls-ca", certificates.authority, "--tls-profile", "TLS1.3", host="127.0.0.1")
        assert done.code == 1
        assert "TLS" in done.err
    finally:
        ae.shutdown()


@pytest.mark.parametrize("verb", ["echo", "echoscu"])
def test_mutual(mutual: Server, certificates: Certificates, verb: str) -> None:
    cert, key = certificates.client
    where = ["localhost", str(mutual.port)] if verb == "echoscu" else [f"localhost:{mutual.port}"]
    ca = ["--tls-ca", certificates.authority]
    done = dulcimer(verb, *where, *ca, "--tls-cert", cert, "--tls-key", key)
    assert (done.code, done.err) == (0, "")
    without = dulcimer(verb, *where, *ca)
    assert without.code == (3 if verb == "echo" else 1)
    assert "--tls-cert and --tls-key" in without.err


def test_a_certificate_of_another_authority(
    mutual: Server, certificates: Certificates, tmp_path: Path
) -> None:
    others = make_certificates(tmp_path / "others").client
    done = echo(
        mutual.port, "--tls-ca", certificates.authority, "--tls-cert", others[0], "--tls-key", others[1]
    )
    assert done.code == 1
    assert len(done.err.splitlines()) == 1


def test_an_authority_that_is_not_trusted(secure: Server, certificates: Certificates) -> None:
    done = echo(secure.port, "--tls-ca", certificates.other_authority)
    assert done.code == 1
    assert "was not accepted" in done.err
    assert "authority" in done.err
    assert echo(secure.port, "--tls-no-verify").code == 0


def test_a_certificate_that_has_expired(certificates: Certificates, folder: Path) -> None:
    cert, key = certificates.expired
    with ours("echoscp", "+tls", key, cert, folder=folder) as server:
        done = echo(server.port, "--tls-ca", certificates.authority)
    assert done.code == 1
    assert "expired" in done.err


def test_a_certificate_of_another_host(certificates: Certificates, folder: Path) -> None:
    cert, key = certificates.stranger
    with ours("echoscp", "--tls-cert", cert, "--tls-key", key, folder=folder) as server:
        done = echo(server.port, "--tls-ca", certificates.authority)
        assert done.code == 1
        assert "localhost" in done.err
        assert echo(server.port, "--tls-ca", certificates.authority, "--tls-no-host-check").code == 0


def test_plain_meets_tls(secure: Server) -> None:
    began = monotonic()
    done = echo(secure.port)
    assert monotonic() - began < SOON
    assert done.code == 1
    assert "add --tls" in done.err


def test_tls_meets_plain(plain: Server, certificates: Certificates) -> None:
    began = monotonic()
    done = echo(plain.port, "--tls-ca", certificates.authority)
    assert monotonic() - began < SOON
    assert done.code == 1
    assert "does it speak TLS on this port?" in done.err
    assert echo(plain.port).code == 0


def test_a_key_of_another_certificate(certificates: Certificates) -> None:
    done = dulcimer("echoscp", "0", "--tls-cert", certificates.server[0], "--tls-key", certificates.client[1])
    assert done.code == 2
    assert "does not belong to the certificate" in done.err


@needs("echoscu", "storescp")
def test_dcmtk_calls(secure: Server, mutual: Server, certificates: Certificates) -> None:
    tool = str(program("echoscu"))
    cert, key = certificates.client
    for server, options in ((secure, ["+tla"]), (mutual, ["+tls", key, cert])):
        done = run(tool, *options, "+cf", certificates.authority, "localhost", str(server.port))
        assert done.returncode == 0, done.stderr
    assert run(tool, "localhost", str(secure.port)).returncode != 0
    assert echo(secure.port, "--tls-ca", certificates.authority).code == 0


@needs("storescp")
def test_dcmtk_is_called(certificates: Certificates, folder: Path) -> None:
    cert, key = certificates.server
    port = free_port()
    command = [str(program("storescp")), "+tls", key, cert, "+cf", certificates.authority, str(port)]
    mine, my_key = certificates.client
    with Server(*command, folder=folder, port=port):
        ca = ["--tls-ca", certificates.authority]
        for profile in ("BCP195", "BCP195-nd", "BCP195-extended", "BCP195-modified", "AES"):
            more = ["--tls-cert", mine, "--tls-key", my_key, "--tls-profile", profile]
            done = echo(port, *ca, *more)
            assert (done.code, done.err) == (0, ""), profile
        began = monotonic()
        assert echo(port).code == 1
        assert monotonic() - began < SOON


IDENTITIES = {
    1: ["--user", "anna"],
    2: ["--user", "anna", "--password-file", "FILE"],
    3: ["--kerberos", "FILE"],
    4: ["--saml", "FILE"],
    5: ["--jwt", "FILE"],
}


@pytest.mark.parametrize("kind", IDENTITIES)
def test_user_identity(kind: int, folder: Path, tmp_path: Path) -> None:
    """What a server demands is what a client has to say."""
    secret, wrong = tmp_path / "secret", tmp_path / "wrong"
    secret.write_bytes(b"open sesame\n")
    wrong.write_bytes(b"open barley\n")
    right = [str(secret) if word == "FILE" else word for word in IDENTITIES[kind]]
    other = [str(wrong) if word == "FILE" else word.replace("anna", "eve") for word in IDENTITIES[kind]]
    with ours("echoscp", *right, folder=folder) as server:
        assert echo(server.port, *right, "-q").code == 0
        assert echo(server.port, *right, "-rsp", "-q").code == 0
        refused = echo(server.port, *other)
        assert refused.code == 1
        assert "reject" in refused.err
        assert echo(server.port).code == 1


def test_an_answer_to_the_identity_that_does_not_come(plain: Server) -> None:
    done = echo(plain.port, "--user", "anna", "--identity-response")
    assert done.code == 1
    assert "does not say that it has verified" in done.err


def test_a_passcode_in_the_clear_is_said(plain: Server, secure: Server, certificates: Certificates) -> None:
    line = ["--user", "anna", "--password", "x"]
    assert "without --tls the passcode" in echo(plain.port, *line).err
    assert echo(secure.port, "--tls-ca", certificates.authority, *line).err == ""


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_ipv6(folder: Path, certificates: Certificates) -> None:
    with _server(certificates, folder, "-ba", "::") as server:
        ca = ["--tls-ca", certificates.authority]
        for host in ("::1", "[::1]", "127.0.0.1", "localhost"):
            assert echo(server.port, *ca, host=host).code == 0
        assert dulcimer("echoscu", f"[::1]:{server.port}", *ca).code == 0
        assert dulcimer("echoscu", f"ANY@[::1]:{server.port}", *ca).code == 0


def test_serve(certificates: Certificates, tmp_path: Path) -> None:
    """The node, by its environment."""
    from node.served import Served

    cert, key = certificates.server
    extra = {"DULCIMER_TLS_CERT": cert, "DULCIMER_TLS_KEY": key, "DULCIMER_TLS_CA": certificates.authority}
    mine, my_key = certificates.client
    with Served(tmp_path / "data", extra=extra) as served:
        ca = ["--tls-ca", certificates.authority]
        with_mine = dulcimer("echo", served.peer, *ca, "--tls-cert", mine, "--tls-key", my_key)
        assert (with_mine.code, with_mine.err) == (0, "")
        own = [*ca, "--tls-cert", mine, "--tls-key", my_key]
        assert dulcimer("store", served.peer, str(real_file("CT_small.dcm")), *own).code == 0
        created = dulcimer("mpps", "create", served.peer, "--patient-id", "1", *own)
        assert (created.code, created.err) == (0, "")
        got = dulcimer("mpps", "get", served.peer, created.out.strip(), *own, "--json")
        assert json.loads(got.out)["00400252"]["Value"] == ["IN PROGRESS"]
        assert dulcimer("echo", served.peer, *ca).code == 3
        assert dulcimer("echo", served.peer).code == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tls-key", "/none"], "a TLS server needs a certificate"),
        (["--tls-cert", "/none"], "/none cannot be read"),
        (["--tls-profile", "SSL3"], "needs one of BCP195"),
    ],
)
def test_serve_with_what_cannot_be_used(options: list[str], words: str, tmp_path: Path) -> None:
    done = dulcimer("serve", "--port", "0", "--data", str(tmp_path / "data"), *options)
    assert done.code in (2, 4)
    assert words in done.err
