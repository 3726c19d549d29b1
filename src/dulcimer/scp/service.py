"""What the ready SCPs have in common, and how several of them share an application entity."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Final

from dulcimer import events as evt
from dulcimer.errors import Refused

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from dulcimer.ae import ApplicationEntity, TransferSyntaxes
    from dulcimer.association import Association
    from dulcimer.events import Event, EventHandlerType, EventType

_LOGGER = logging.getLogger("dulcimer.scp")

NO_SUCH_SOP_CLASS: Final = 0x0118
UNRECOGNIZED_OPERATION: Final = 0x0211

_METHODS: Final[dict[EventType, str]] = {
    evt.EVT_N_CREATE: "n_create",
    evt.EVT_N_SET: "n_set",
    evt.EVT_N_GET: "n_get",
    evt.EVT_N_ACTION: "n_action",
    evt.EVT_N_DELETE: "n_delete",
    evt.EVT_C_FIND: "c_find",
}


class Service:
    """An SCP with a method for each operation.

    They are named ``n_create``, ``n_set``, ``n_get``, ``n_action``, ``n_delete`` and ``c_find``. Each takes
    the :class:`~dulcimer.events.Event` and answers as a handler of it does: it returns what that
    has to return, or raises :class:`~dulcimer.errors.Refused`. An operation that a service has no method for
    is answered 0211H.
    """

    contexts: ClassVar[tuple[str, ...]] = ()
    """The abstract syntaxes that it is negotiated with, meta SOP classes included."""

    sop_classes: ClassVar[frozenset[str]] = frozenset()
    """The SOP classes that its commands name."""

    noun: ClassVar[str] = "instance"
    """What its SOP instances are called in logs."""

    reports: ClassVar[bool] = False
    """Whether it may send N-EVENT-REPORT on the association on which it was requested."""

    def __init__(self) -> None:
        self._hooks: dict[str, list[Callable[..., Any]]] = {}

    def on(self, happening: str, hook: Callable[..., Any]) -> None:
        """Have a function called when something has happened; the service's documentation names what may."""
        self._hooks.setdefault(happening, []).append(hook)

    def listens(self, happening: str) -> bool:
        """Tell whether somebody wants to know of something that happens."""
        return bool(self._hooks.get(happening))

    def tell(self, happening: str, *arguments: Any) -> None:
        """Call the hooks of something that has happened; what they raise is logged and changes nothing."""
        for hook in self._hooks.get(happening, ()):
            try:
                hook(*arguments)
            except Exception:
                _LOGGER.exception("A hook for '%s' raised", happening)

    def state_of(self, instance: Dataset) -> str:
        """Return the state of an instance, empty if the service has none."""
        return ""

    def association_ended(self, association: Association) -> None:
        """Take note that an association is over, released or not."""


class Services:
    """Several services in one application entity: requests go to the service whose SOP class they name.

    Parameters
    ----------
    services
        The services; no two may have a SOP class in common.

    Raises
    ------
    ValueError
        If two of them have.
    """

    def __init__(self, services: Iterable[Service]) -> None:
        self.services = tuple(services)
        self._by_class: dict[str, Service] = {}
        for service in self.services:
            for uid in service.sop_classes:
                if uid in self._by_class:
                    raise ValueError(f"two services for the SOP class {uid}")
                self._by_class[uid] = service

    def add_to(self, ae: ApplicationEntity, transfer_syntax: TransferSyntaxes = None) -> None:
        """Have an application entity support their presentation contexts, in its default transfer syntaxes.

        A requestor may propose the SCP role for itself too, where we may have to report events to it.
        """
        for service in self.services:
            for uid in service.contexts:
                ae.add_supported_context(
                    uid,
                    transfer_syntax,
                    scu_role=True if service.reports else None,
                    scp_role=True if service.reports else None,
                )

    def handlers(self) -> list[EventHandlerType]:
        """Return the handlers to start a server with."""
        asked: list[EventHandlerType] = [(event, self.answer) for event in _METHODS]
        return [*asked, (evt.EVT_RELEASED, self.ended), (evt.EVT_ABORTED, self.ended)]

    def service_of(self, event: Event) -> Service | None:
        """Return the service that answers a request, None if none does."""
        request = event.request
        uid = getattr(request, "RequestedSOPClassUID", None) or request.AffectedSOPClassUID
        return self._by_class.get(str(uid or event.context.abstract_syntax))

    def answer(self, event: Event) -> Any:
        """Answer a request, as a handler of it."""
        service = self.service_of(event)
        if service is None:
            raise Refused(NO_SUCH_SOP_CLASS, "No service for this SOP class")
        method = getattr(service, _METHODS[event.event], None)
        if method is None:
            raise Refused(UNRECOGNIZED_OPERATION, "Not an operation of this SOP class")
        return method(event)

    def ended(self, event: Event) -> None:
        """Take note that an association is over; a handler of EVT_RELEASED and EVT_ABORTED."""
        for service in self.services:
            service.association_ended(event.assoc)
