"""What is done about UIDs that the settings of an association do not allow (PS3.5 9.1).

By default a UID need only be short enough, and peers' UIDs are taken as they come. Nothing here is called
then: see :attr:`Settings.screens_uids <dulcimer._config.Settings.screens_uids>`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from dulcimer.errors import Refused
from dulcimer.protocol.dimse import elements as e

if TYPE_CHECKING:
    from dulcimer._config import Validator
    from dulcimer.protocol.dimse.commands import Value

INVALID_OBJECT_INSTANCE: Final = 0x0117
"""The SOP Instance UID violates the rules for UIDs (PS3.7 C.5.7)."""

_ARGUMENTS: Final = ("class_uid", "instance_uid", "meta_uid", "query_model")
_INSTANCES: Final = (e.AFFECTED_SOP_INSTANCE_UID, e.REQUESTED_SOP_INSTANCE_UID)


def screen_call(
    validator: Validator, operation: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    """Refuse to invoke an operation with a UID that is none.

    Raises
    ------
    ValueError
        If one of the UIDs among the arguments, or of the data set that is to be stored, is not valid.
    """
    given = inspect.signature(operation).bind_partial(None, *args, **kwargs).arguments
    uids = {name: given[name] for name in _ARGUMENTS if given.get(name)}
    dataset = given.get("dataset")
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        found = getattr(dataset, keyword, None)
        if found and "class_uid" not in given and "query_model" not in given:
            uids[keyword] = found
    for name, uid in uids.items():
        valid, reason = validator(uid)
        if not valid:
            raise ValueError(f"Invalid '{name}' value '{uid}' - {reason}")


def screen_request(validator: Validator, command: Mapping[int, Value]) -> None:
    """Refuse a request for an instance whose UID is none.

    Raises
    ------
    dulcimer.errors.Refused
        With status 0117H.
    """
    for number in _INSTANCES:
        uid = command.get(number)
        if uid:
            valid, reason = validator(uid)
            if not valid:
                raise Refused(INVALID_OBJECT_INSTANCE, f"{e.ELEMENTS[number].keyword}: {reason}")
