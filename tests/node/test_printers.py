"""The printer of a configuration."""

from __future__ import annotations

import pytest

from dulcimer.node.config import ConfigError, load
from dulcimer.node.printers import DEFAULT_PRINTER, printer


def test_a_table(tmp_path):
    file = tmp_path / "node.toml"
    file.write_text(
        '[print]\nname = "Ward 7"\nfilm-sizes = ["A4", "A3"]\nmedia = "PAPER"\nresolution = 320\n'
        "high-resolution = 640\nmemory = 512\nbits = 16\ndecimate-crop = 'crop'\nprints-sessions = false\n"
    )
    found = load(file=file).printer
    assert found is not None
    assert (found.name, found.film_sizes, found.media) == ("Ward 7", ("A4", "A3"), ("PAPER",))
    assert (found.resolution, found.high_resolution, found.memory) == (320, 640, 512 << 20)
    assert (found.bits, found.decimate_crop, found.prints_sessions) == (16, "CROP", False)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (False, None),
        ("off", None),
        ({"enabled": False}, None),
        (True, DEFAULT_PRINTER),
        ({}, DEFAULT_PRINTER),
    ],
)
def test_whether_there_is_one(value, expected):
    assert printer(value) == expected


def test_no_high_resolution():
    found = printer({"high_resolution": 0})
    assert found is not None and found.high_resolution is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("perhaps", "needs a table, or true or false"),
        ({"colour": "red"}, "without 'colour'"),
        ({"resolution": 5}, "needs another resolution in its table: it goes from 10 to 2400"),
        ({"resolution": "much"}, "needs another resolution"),
        ({"film_sizes": ["A4", "A9"]}, "'A9' is no film size"),
        ({"media": []}, "needs one at least"),
        ({"bits": 12}, "it is 8 or 16"),
        ({"magnification": "BIG"}, "it is one of BILINEAR, CUBIC, NONE, REPLICATE"),
        ({"min_density": 300, "max_density": 200}, "needs a min_density below max_density"),
        ({"name": "a\\b"}, "no backslash"),
    ],
)
def test_what_cannot_be_used(value, words):
    with pytest.raises(ConfigError, match=words):
        load({"printer": value})
