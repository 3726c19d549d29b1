"""Fixtures of the tests of the public API."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from api.peers import Network


class _Faults(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.fixture(autouse=True)
def faults() -> Iterator[list[str]]:
    """What the library's threads said of their own faults: a test ends without any."""
    handler = _Faults()
    loggers = [logging.getLogger(name) for name in ("dulcimer.server", "dulcimer.threads")]
    for logger in loggers:
        logger.addHandler(handler)
    yield handler.messages
    for logger in loggers:
        logger.removeHandler(handler)
    assert handler.messages == []


@pytest.fixture
def net(faults: list[str]) -> Iterator[Network]:
    """Servers and associations on loopback that end with the test."""
    network = Network()
    yield network
    network.close()
