"""What all tests need of the peers that they talk to."""

from __future__ import annotations

import functools
import threading
import time
from typing import Any

from pynetdicom.association import Association


class _Checkpoint(threading.Event):
    """Gives pynetdicom's reactor the time to go on before it is told to pause again.

    Of two requests in quick succession pynetdicom may take the second answer for a request: its reactor is
    believed to pause when it has only been told to go on.
    """

    def __init__(self, association: Any) -> None:
        super().__init__()
        self._association = association

    def clear(self) -> None:
        for _ in range(400):
            if not self._association._is_paused:
                break
            time.sleep(0.0005)
        super().clear()


_initialise = Association.__init__


@functools.wraps(_initialise)
def _with_checkpoint(self: Any, *args: Any, **kwargs: Any) -> None:
    _initialise(self, *args, **kwargs)
    self._reactor_checkpoint = _Checkpoint(self)
    self._reactor_checkpoint.set()


def pytest_sessionstart() -> None:
    """Have every association of pynetdicom in this process wait for its own reactor."""
    Association.__init__ = _with_checkpoint
