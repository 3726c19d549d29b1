from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from dulcimer.node.config import OPTIONS, Config, ConfigError, Durability, load
from dulcimer.node.destinations import Destination


def test_defaults() -> None:
    assert load() == Config()
    assert Config().host == "127.0.0.1"
    assert Config().durability is Durability.FULL


def test_flags_win_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text('aet = "FILE"\n[serve]\nport = 1\nmax-pdu = 1000\n')
    environment = {"DULCIMER_PORT": "2", "DULCIMER_MAX_PDU": "2000"}
    config = load({"max_pdu": 3000, "aet": None}, environment, file)
    assert (config.aet, config.port, config.max_pdu) == ("FILE", 2, 3000)
    assert config.max_associations == Config().max_associations


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("aet", " PACS ", "PACS"),
        ("host", "[::1]", "::1"),
        ("port", "0", 0),
        ("data", "/x/y", Path("/x/y")),
        ("durability", "OFF", Durability.OFF),
        ("mpps_level", "lenient", "lenient"),
        ("max_pdu", "0", 0),
        ("max_associations", "5", 5),
        ("require_called_aet", "yes", True),
        ("allow", "CT1, MR1", ("CT1", "MR1")),
        ("acse_timeout", "1.5", 1.5),
        ("dimse_timeout", "0", 0.0),
        ("idle_timeout", "10", 10.0),
        ("drain_timeout", "10", 10.0),
        ("log_json", "1", True),
        ("log_level", "DEBUG", "debug"),
        ("destinations", "PACS=pacs:104", (Destination("PACS", "pacs", 104),)),
        ("query_allow", "WS1, WS2", ("WS1", "WS2")),
        ("query_limit", "500", 500),
        ("match_names", "Insensitive", "insensitive"),
        ("report_destinations", "US=us:104", (Destination("US", "us", 104),)),
        ("mpps_notify", "RIS, PACS", ("RIS", "PACS")),
        ("ups_level", "Lenient", "lenient"),
        ("worklist", "no", False),
        ("worklist_own_station", "yes", True),
        ("worklist_hide_finished", "yes", True),
        ("worklist_limit", "500", 500),
        ("service_level", "Strict", "strict"),
        ("display_system", "", None),
        ("media_iso", "yes", True),
        ("printer", "off", None),
        ("print_level", "Lenient", "lenient"),
        ("web", "off", False),
        ("web_host", "localhost", "localhost"),
        ("web_port", "0", 0),
        ("web_password", "", None),
        ("web_proxy_header", "X-User", "X-User"),
        ("web_proxies", "10.0.0.1", (ip_network("10.0.0.1"),)),
        ("tls_cert", "/x/cert.pem", Path("/x/cert.pem")),
        ("tls_key", "/x/key.pem", Path("/x/key.pem")),
        ("tls_ca", "/x/ca", Path("/x/ca")),
        ("tls_profile", "bcp195", "BCP195"),
        ("tls_client_auth", "OPTIONAL", "optional"),
    ],
)
def test_every_option_comes_from_the_environment(name: str, text: str, value: object) -> None:
    assert getattr(load(environment={f"DULCIMER_{name.upper()}": text}), name) == value


def test_the_list_above_is_whole() -> None:
    (mark,) = test_every_option_comes_from_the_environment.pytestmark  # type: ignore[attr-defined]
    assert {row[0] for row in mark.args[1]} == set(OPTIONS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("aet", "SEVENTEEN LETTERS"),
        ("aet", ""),
        ("aet", "A\\B"),
        ("port", "65536"),
        ("port", "http"),
        ("port", True),
        ("durability", "maybe"),
        ("acse_timeout", "-1"),
        ("acse_timeout", "nan"),
        ("log_json", "perhaps"),
        ("max_associations", 0),
        ("service_level", "slack"),
        ("display_system", "/no/such/file.json"),
    ],
)
def test_an_error_names_where_what_and_the_cure(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"option --{name.replace('_', '-')} needs .*, not ") as error:
        load({name: value})
    assert repr(value) in str(error.value)


def test_errors_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read: No such file"):
        load(file=tmp_path / "none.toml")
    file = tmp_path / "node.toml"
    file.write_text("port = \n")
    with pytest.raises(ConfigError, match="is not TOML"):
        load(file=file)
    file.write_text("[serve]\nprot = 4\n")
    with pytest.raises(ConfigError, match="there is no option 'prot'; there are aet, host, port"):
        load(file=file)
    file.write_text('port = "x"\n')
    with pytest.raises(ConfigError, match="port needs a whole number, not 'x'"):
        load(file=file)
    with pytest.raises(ConfigError, match="there is no option 'x'"):
        load({"x": 1})


@pytest.mark.parametrize(
    "value",
    [
        "A=pacs:104,B=tls://[::1]:2762",
        ["A=pacs:104", "B=tls://[::1]:2762"],
        [{"aet": "A", "host": "pacs", "port": 104}, {"aet": "B", "host": "::1", "port": 2762, "tls": True}],
    ],
)
def test_move_destinations(value: object) -> None:
    expected = (Destination("A", "pacs", 104), Destination("B", "::1", 2762, tls=True))
    assert load({"destinations": value}).destinations == expected


def test_move_destinations_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(
        'aet = "X"\n[[move_destinations]]\naet = "A"\nhost = "pacs"\nport = 104\n'
        '[[move_destinations]]\naet = "B"\nhost = "ws"\nport = 2762\nca = "/ca.pem"\nverify_host = false\n'
    )
    assert load(file=file).destinations == (
        Destination("A", "pacs", 104),
        Destination("B", "ws", 2762, tls=True, ca=Path("/ca.pem"), verify_host=False),
    )


@pytest.mark.parametrize(
    "value",
    [
        "pacs:104",
        "A=pacs",
        "A=:104",
        "A=pacs:0",
        "SEVENTEEN LETTERS=pacs:104",
        "A=pacs:104,A=other:104",
        [{"aet": "A", "host": "pacs", "port": 104, "colour": "red"}],
        [{"aet": "A", "host": "pacs", "port": 104, "tls": "yes"}],
        [7],
        7,
    ],
)
def test_what_is_no_move_destination(value: object) -> None:
    with pytest.raises(ConfigError, match="option --destinations"):
        load({"destinations": value})


def test_the_worklist_may_have_a_table_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text("[worklist]\nenabled = false\nown-station = true\nlimit = 7\n")
    config = load(file=file)
    assert (config.worklist, config.worklist_own_station, config.worklist_limit) == (False, True, 7)
    file.write_text("worklist = false\n")
    assert not load(file=file).worklist
    file.write_text("[worklist]\nsize = 3\n")
    with pytest.raises(ConfigError, match="worklist_size"):
        load(file=file)
