"""The vocabulary of conversations.

A conversation is a generator: it asks its engine for what it wants, yields an effect when it needs the
outside, and returns its result. A driver runs it: the blocking one with the calling thread, the asyncio one
with a task. Neither knows what the conversation is about, and no conversation knows who runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

T = TypeVar("T")


class Wait:
    """Send what is queued, then come back when something arrived or time passed."""

    __slots__ = ()


WAIT: Final = Wait()


class Poll:
    """Send what is queued and take in what has come, without waiting."""

    __slots__ = ()


POLL: Final = Poll()


@dataclass(slots=True)
class Call:
    """Send what is queued, run the user's code and come back with what it returns, or with what it raises."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


Effect = Wait | Poll | Call
Operation = Generator[Effect, Any, T]
"""A conversation that ends in a ``T``."""
