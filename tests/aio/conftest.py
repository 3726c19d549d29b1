"""Fixtures of the tests of the asyncio driver."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from aio.network import LoopNetwork
from api.conftest import certificates  # noqa: F401 - a fixture
from api.peers import Network

for _name in ("n_services", "n_set_contract", "negotiation", "negotiation_policy", "query_retrieve", "tls"):
    pytest.register_assert_rewrite(f"api.test_{_name}")


@pytest.fixture(autouse=True)
def faults(caplog: Any) -> Iterator[None]:
    """A test ends without a fault of the driver's, or of a task that nobody looked at."""
    yield
    found = [
        record.getMessage()
        for record in caplog.get_records("call")
        if record.levelno >= logging.ERROR and record.name in ("dulcimer.aio", "dulcimer.server", "asyncio")
    ]
    assert found == []


@pytest.fixture
def net() -> Iterator[Network]:
    network = LoopNetwork()
    try:
        yield network
    finally:
        network.close()
