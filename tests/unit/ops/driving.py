"""Conversations driven by hand: no thread, no socket, no clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from dulcimer.ops.effects import Call, Operation, Wait

T = TypeVar("T")


class Stuck(AssertionError):
    """A conversation that waits for something that does not come."""


def drive(operation: Operation[T], wait: Callable[[], Any] | None = None, most: int = 20) -> T:
    """Run a conversation; ``wait`` is what happens while it waits."""
    value: Any = None
    error: Exception | None = None
    for _ in range(most):
        try:
            effect = operation.send(value) if error is None else operation.throw(error)
        except StopIteration as stop:
            result: T = stop.value
            return result
        value = error = None
        if isinstance(effect, Wait):
            if wait is None:
                raise Stuck
            wait()
            continue
        assert isinstance(effect, Call)
        try:
            value = effect.function(*effect.arguments)
        except Exception as raised:
            error = raised
    raise Stuck


def begin(operation: Operation[Any]) -> Any:
    """Run a conversation up to its first effect and return that."""
    return next(operation)
