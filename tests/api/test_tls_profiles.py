"""Profiles of TLS and what is said of certificates that cannot be used (PS3.15 Annex B)."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from api.peers import Network, flags
from cli.tooling import Certificates, make_certificates
from dulcimer.failure import FailureKind
from dulcimer.sop_class import Verification
from dulcimer.tls import PROFILES, TLS, TLSConfigurationError, find_profile

if TYPE_CHECKING:
    from typing import Any


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("made"))


def echo(net: Network, server: TLS, client: TLS, host: str = "localhost") -> Any:
    listening = net.serve(contexts=[Verification], ssl_context=server.server_context())
    return net.associate(listening, [Verification], tls_args=(client.client_context(), host))


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_with_itself(
    net: Network, made: Certificates, profile: str, newest: ssl.TLSVersion
) -> None:
    context = TLS(*made.server, profile=profile).server_context()
    if newest < context.minimum_version:
        pytest.skip("the profile has no such version")
    context.maximum_version = newest
    server = net.serve(contexts=[Verification], ssl_context=context)
    client = TLS(ca=made.authority, profile=profile).client_context()
    assoc = net.associate(server, [Verification], tls_args=(client, "localhost"))
    assert assoc.send_c_echo().Status == 0x0000


@pytest.mark.parametrize("profile", PROFILES)
def test_no_profile_goes_below_tls_1_2(profile: str) -> None:
    context = TLS(profile=profile).client_context()
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    names = {suite["name"] for suite in context.get_ciphers()}
    assert not any(word in name for name in names for word in ("NULL", "RC4", "DES", "MD5", "anon", "EXP"))
    forward_secret = all(name.startswith(("TLS_", "ECDHE-", "DHE-")) for name in names)
    assert forward_secret or profile == "AES"


def test_the_first_profile_has_the_suites_of_rfc_9325() -> None:
    context = TLS().client_context()
    names = [suite["name"] for suite in context.get_ciphers() if suite["protocol"] == "TLSv1.2"]
    assert names == list(PROFILES["BCP195"].suites)


def test_names_of_profiles_in_any_case() -> None:
    assert find_profile("bcp195") is PROFILES["BCP195"]
    with pytest.raises(TLSConfigurationError, match="there is no TLS profile 'SSL3'; there are BCP195"):
        TLS(profile="SSL3").client_context()


def test_both_sides_with_certificates(net: Network, made: Certificates) -> None:
    server = TLS(*made.server, ca=made.authority)
    client = TLS(*made.client, ca=made.authority)
    assert echo(net, server, client).send_c_echo().Status == 0x0000
    assert flags(echo(net, server, TLS(ca=made.authority))) == {"is_aborted": True}


def test_optional_certificates_of_clients(net: Network, made: Certificates, tmp_path: Path) -> None:
    server = TLS(*made.server, ca=made.authority, client_auth="optional")
    assert echo(net, server, TLS(ca=made.authority)).is_established
    assert echo(net, server, TLS(*made.client, ca=made.authority)).is_established
    others = make_certificates(tmp_path)
    assert not echo(net, server, TLS(*others.client, ca=made.authority)).is_established
    nobody = TLS(*made.server, ca=made.authority, client_auth="none")
    assert echo(net, nobody, TLS(ca=made.authority)).is_established


def test_the_name_in_the_certificate(net: Network, made: Certificates) -> None:
    server = TLS(*made.stranger)
    assoc = echo(net, server, TLS(ca=made.authority))
    assert assoc.failure.kind is FailureKind.TLS
    assert "localhost" in str(assoc.failure)
    assert echo(net, server, TLS(ca=made.authority, verify_host=False)).is_established
    assert echo(net, server, TLS(verify=False)).is_established
    assert echo(net, TLS(*made.server), TLS(ca=made.authority), "127.0.0.1").is_established


@pytest.mark.parametrize(("who", "words"), [("expired", "expired"), ("other", "certificate")])
def test_certificates_that_are_not_accepted(net: Network, made: Certificates, who: str, words: str) -> None:
    server = TLS(*(made.expired if who == "expired" else made.server))
    client = TLS(ca=made.authority if who == "expired" else made.other_authority)
    assoc = echo(net, server, client)
    assert assoc.failure.kind is FailureKind.TLS
    assert words in str(assoc.failure)


def test_a_folder_of_authorities(net: Network, made: Certificates, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert not echo(net, TLS(*made.server), TLS(ca=tmp_path / "empty")).is_established


def test_certificate_and_key_in_one_file(net: Network, made: Certificates, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(Path(made.server[0]).read_bytes() + Path(made.server[1]).read_bytes())
    assert echo(net, TLS(both), TLS(ca=made.authority)).is_established


def test_an_encrypted_key(net: Network, made: Certificates, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(Path(made.server[1]).read_bytes(), None)
    encrypted = tmp_path / "encrypted.key"
    encrypted.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"sesame"),
        )
    )
    server = TLS(made.server[0], encrypted, password="sesame")
    assert echo(net, server, TLS(ca=made.authority)).is_established
    with pytest.raises(TLSConfigurationError, match="is encrypted: give its passphrase"):
        TLS(made.server[0], encrypted).server_context()
    with pytest.raises(TLSConfigurationError, match="is encrypted: give the right passphrase"):
        TLS(made.server[0], encrypted, password="barley").server_context()


def test_files_that_cannot_be_used(made: Certificates, tmp_path: Path) -> None:
    cert, key = made.server
    junk, missing = tmp_path / "junk", tmp_path / "missing"
    junk.write_bytes(b"junk")
    for tls, words in (
        (TLS(), "needs a certificate and its private key"),
        (TLS(missing, key), f"the certificate {missing} cannot be read: No such file"),
        (TLS(cert, missing), f"the private key {missing} cannot be read: No such file"),
        (TLS(cert, made.client[1]), f"the private key {made.client[1]} does not belong to the certificate"),
        (TLS(junk, key), f"{junk} holds no certificate in PEM form"),
        (TLS(cert, junk), f"{junk} holds no private key in PEM form"),
        (TLS(cert), f"{cert} holds no private key in PEM form"),
        (TLS(cert, key, missing), f"the authority's certificate {missing} cannot be read"),
        (TLS(cert, key, junk), f"{junk} holds no certificate in PEM form"),
        (TLS(cert, key, client_auth="required"), "name the authority to trust"),
        (TLS(cert, key, client_auth="perhaps"), "not 'perhaps'"),  # type: ignore[arg-type]
    ):
        with pytest.raises(TLSConfigurationError, match=r".") as caught:
            tls.server_context()
        assert words in str(caught.value)
    with pytest.raises(TLSConfigurationError, match="of no use without its certificate"):
        TLS(key=key).client_context()
