from __future__ import annotations

from pathlib import Path

import pytest

from dulcimer.node.config import OPTIONS, Config, ConfigError, Durability, load


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
