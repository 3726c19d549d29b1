from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dulcimer.node.app import Node
from dulcimer.node.config import Config, Durability

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node within this process."""
    data = tmp_path_factory.mktemp("node") / "data"
    made = Node(Config(port=0, data=data, aet="NODE", durability=Durability.FILE, web=False))
    yield made
    made.stop(5.0)


@pytest.fixture
def peer(node: Node) -> str:
    """The node as the command line wants it."""
    return f"NODE@{node.address[0]}:{node.address[1]}"
