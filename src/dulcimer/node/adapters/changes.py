"""Who wants to know that something has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from dulcimer.web.view import Topic


class Changes:
    """Passes on what has changed; nobody listens until somebody looks at the page."""

    def __init__(self) -> None:
        self._listeners: tuple[Callable[[Topic], object], ...] = ()

    def listen(self, listener: Callable[[Topic], object]) -> None:
        """Have a function called, in the thread of whoever has changed something: it must not wait."""
        self._listeners = (*self._listeners, listener)

    def tell(self, topic: Topic) -> None:
        """Say that something of a topic has changed."""
        for listener in self._listeners:
            listener(topic)
