"""Which service class a SOP class belongs to, private ones included.

A :class:`Registry` starts from the Standard's tables and takes private SOP classes. The public
``register_uid`` speaks of no registry, so there is one for the process, :data:`REGISTRY`; the functions of
this module ask it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from dulcimer.services import tables
from dulcimer.services.sop_classes import OTHER, WELL_KNOWN_INSTANCES
from dulcimer.services.tables import META_CLASSES, SERVICES, UNIFIED_PROCEDURE_STEP, Service

__all__ = [
    "META_CLASSES",
    "REGISTRY",
    "UPS_PUSH",
    "Registry",
    "Service",
    "command_class",
    "is_other_than_storage",
    "is_storage",
    "is_ups",
    "register",
    "service_for",
]

UPS_PUSH: Final = "1.2.840.10008.5.1.4.34.6.1"
"""Every DIMSE-N command on a UPS context names this SOP class (PS3.4 CC.3.1)."""


class Registry:
    """SOP classes by UID and by keyword."""

    def __init__(self, services: Iterable[Service] = SERVICES) -> None:
        self._services: dict[str, Service] = {}
        self._keywords: dict[str, str] = dict(WELL_KNOWN_INSTANCES)
        self._groups: dict[str, dict[str, str]] = {}
        for service in services:
            self._groups[service.key] = dict(service.keywords)
            self._keywords.update(service.keywords)
            for uid in service.classes:
                self._services[uid] = service

    def service_for(self, uid: str) -> Service | None:
        """Return the service class of a SOP class, or None if it is not known."""
        return self._services.get(uid)

    def uid_for(self, keyword: str) -> str | None:
        """Return the UID of a SOP class or well-known SOP Instance."""
        return self._keywords.get(keyword)

    @property
    def keywords(self) -> Mapping[str, str]:
        """Every keyword with its UID."""
        return MappingProxyType(self._keywords)

    def classes(self, service: Service) -> dict[str, str]:
        """Return the keywords and UIDs of a service's SOP classes, registered ones included."""
        return dict(self._groups.get(service.key, {}))

    def register(
        self, uid: str, keyword: str, service: Service, operations: Iterable[str] | None = None
    ) -> None:
        """File a private SOP class under a service.

        Parameters
        ----------
        uid
            Its UID. A UID that is already known is filed anew.
        keyword
            A Python identifier.
        service
            The service class that handles it.
        operations
            The DIMSE operations that it uses; all those of the service by default.
        """
        chosen = service.all_operations if operations is None else frozenset(operations)
        unknown = chosen - service.all_operations
        if unknown:
            raise ValueError(f"{service.name} has no {', '.join(sorted(unknown))}")
        base = next((row for row in SERVICES if row.key == service.key), service)
        classes = MappingProxyType({**base.classes, uid: chosen})
        previous = self._services.get(uid)
        if previous is not None:
            group = self._groups[previous.key]
            for old in [name for name, known in group.items() if known == uid]:
                del group[old]
        self._services[uid] = replace(base, classes=classes)
        self._groups.setdefault(service.key, {})[keyword] = uid
        self._keywords[keyword] = uid


REGISTRY: Final = Registry()
"""The registry of this process."""

_STORAGE_KEYS: Final = frozenset({tables.STORAGE.key, tables.NON_PATIENT_OBJECT.key})
_OTHER: Final = frozenset(uid for _, uid, _ in OTHER) | {uid for _, uid in WELL_KNOWN_INSTANCES}


def service_for(uid: str) -> Service | None:
    """Return the service class of a SOP class, or None if it is not known."""
    return REGISTRY.service_for(uid)


def register(uid: str, keyword: str, service: Service, operations: Iterable[str] | None = None) -> None:
    """File a private SOP class under a service, for the whole process (see :meth:`Registry.register`)."""
    REGISTRY.register(uid, keyword, service, operations)


def is_storage(uid: str) -> bool:
    """Tell whether C-STORE carries instances of this SOP class, as far as is known."""
    service = REGISTRY.service_for(uid)
    return service is not None and service.key in _STORAGE_KEYS


def is_other_than_storage(uid: str) -> bool:
    """Tell whether ``uid`` is known to be something that C-STORE never carries.

    A node that takes any storage SOP class, private and future ones too, accepts what is not in this list.
    """
    service = REGISTRY.service_for(uid)
    return uid in _OTHER if service is None else service.key not in _STORAGE_KEYS


def is_ups(uid: str) -> bool:
    """Tell whether ``uid`` is one of the Unified Procedure Step SOP classes."""
    service = REGISTRY.service_for(uid)
    return service is not None and service.key == UNIFIED_PROCEDURE_STEP.key


def command_class(context: str, requested: str) -> str:
    """Return the SOP class that a DIMSE-N command names when ``context`` carries it (PS3.4 CC.3.1)."""
    return UPS_PUSH if is_ups(context) and is_ups(requested) else requested
