"""SOP classes by keyword, and the service class of each (PS3.4, PS3.6 Annex A).

Every keyword is an attribute of this module, private SOP classes of :func:`register_uid` included::

    >>> from dulcimer.sop_class import CTImageStorage
    >>> CTImageStorage
    '1.2.840.10008.5.1.4.1.1.2'
    >>> CTImageStorage.service_class
    <class 'dulcimer.service_class.StorageServiceClass'>
"""

from __future__ import annotations

from keyword import iskeyword
from typing import TYPE_CHECKING, Any, Final

from pydicom.uid import UID

from dulcimer import service_class as _c
from dulcimer import service_class_n as _n
from dulcimer.service_class import ServiceClass
from dulcimer.services import registry, sop_classes, tables

if TYPE_CHECKING:
    from dulcimer.services.tables import Service

    _APPLICATION_EVENT_CLASSES: dict[str, str]
    _BASIC_WORKLIST_CLASSES: dict[str, str]
    _COLOR_PALETTE_CLASSES: dict[str, str]
    _DEFINED_PROCEDURE_CLASSES: dict[str, str]
    _DISPLAY_SYSTEM_CLASSES: dict[str, str]
    _HANGING_PROTOCOL_CLASSES: dict[str, str]
    _IMPLANT_TEMPLATE_CLASSES: dict[str, str]
    _INSTANCE_AVAILABILITY_CLASSES: dict[str, str]
    _INVENTORY_CLASSES: dict[str, str]
    _MEDIA_CREATION_CLASSES: dict[str, str]
    _MEDIA_STORAGE_CLASSES: dict[str, str]
    _NON_PATIENT_OBJECT_CLASSES: dict[str, str]
    _PRINT_MANAGEMENT_CLASSES: dict[str, str]
    _PROCEDURE_STEP_CLASSES: dict[str, str]
    _PROTOCOL_APPROVAL_CLASSES: dict[str, str]
    _QR_CLASSES: dict[str, str]
    _RELEVANT_PATIENT_QUERY_CLASSES: dict[str, str]
    _RT_MACHINE_VERIFICATION_CLASSES: dict[str, str]
    _STORAGE_CLASSES: dict[str, str]
    _STORAGE_COMMITMENT_CLASSES: dict[str, str]
    _STORAGE_MANAGEMENT_CLASSES: dict[str, str]
    _SUBSTANCE_ADMINISTRATION_CLASSES: dict[str, str]
    _UNIFIED_PROCEDURE_STEP_CLASSES: dict[str, str]
    _VERIFICATION_CLASSES: dict[str, str]

_CLASSES: Final[dict[str, type[ServiceClass]]] = {
    tables.VERIFICATION.key: _c.VerificationServiceClass,
    tables.STORAGE.key: _c.StorageServiceClass,
    tables.QUERY_RETRIEVE.key: _c.QueryRetrieveServiceClass,
    tables.PROCEDURE_STEP.key: _n.ProcedureStepServiceClass,
    tables.PRINT_MANAGEMENT.key: _n.PrintManagementServiceClass,
    tables.STORAGE_COMMITMENT.key: _n.StorageCommitmentServiceClass,
    tables.BASIC_WORKLIST.key: _c.BasicWorklistManagementServiceClass,
    tables.APPLICATION_EVENT.key: _n.ApplicationEventLoggingServiceClass,
    tables.RELEVANT_PATIENT_QUERY.key: _c.RelevantPatientInformationQueryServiceClass,
    tables.INSTANCE_AVAILABILITY.key: _n.InstanceAvailabilityNotificationServiceClass,
    tables.MEDIA_CREATION.key: _n.MediaCreationManagementServiceClass,
    tables.HANGING_PROTOCOL.key: _c.HangingProtocolQueryRetrieveServiceClass,
    tables.SUBSTANCE_ADMINISTRATION.key: _c.SubstanceAdministrationQueryServiceClass,
    tables.COLOR_PALETTE.key: _c.ColorPaletteQueryRetrieveServiceClass,
    tables.IMPLANT_TEMPLATE.key: _c.ImplantTemplateQueryRetrieveServiceClass,
    tables.UNIFIED_PROCEDURE_STEP.key: _n.UnifiedProcedureStepServiceClass,
    tables.RT_MACHINE_VERIFICATION.key: _n.RTMachineVerificationServiceClass,
    tables.DISPLAY_SYSTEM.key: _n.DisplaySystemManagementServiceClass,
    tables.NON_PATIENT_OBJECT.key: _c.NonPatientObjectStorageServiceClass,
    tables.DEFINED_PROCEDURE.key: _c.DefinedProcedureProtocolQueryRetrieveServiceClass,
    tables.PROTOCOL_APPROVAL.key: _c.ProtocolApprovalQueryRetrieveServiceClass,
    tables.INVENTORY.key: _c.InventoryQueryRetrieveServiceClass,
    tables.STORAGE_MANAGEMENT.key: _n.StorageManagementServiceClass,
}

_GROUPS: Final[dict[str, Service]] = {f"_{service.key}_CLASSES": service for service in tables.SERVICES}

# Known, so that they are stored; not in use, so not in the list of storage SOP classes.
_UNLISTED: Final = frozenset(
    uid for rows in (sop_classes.STORAGE_RETIRED, sop_classes.STORAGE_OTHER) for _, uid, _ in rows
)

_RETRIEVALS: Final = ("C-FIND", "C-GET", "C-MOVE")


class SOPClass(UID):
    """The UID of a SOP class."""

    @property
    def service_class(self) -> type[ServiceClass]:
        """The service class that the SOP class belongs to."""
        return uid_to_service_class(self)


def uid_to_service_class(uid: str) -> type[ServiceClass]:
    """Return the service class of a SOP class, :class:`ServiceClass` itself if it is not known."""
    if uid == _c.StorageServiceClass.uid:
        return _c.StorageServiceClass
    service = registry.service_for(uid)
    return ServiceClass if service is None else _CLASSES.get(service.key, ServiceClass)


def uid_to_sop_class(uid: str) -> SOPClass:
    """Return the SOP class of a UID."""
    return SOPClass(uid)


def register_uid(uid: str, keyword: str, service_class: type[ServiceClass], dimse_msg_type: str = "") -> None:
    """Register a private SOP class with the service class that handles it.

    Parameters
    ----------
    uid
        Its UID.
    keyword
        The name of the attribute that this module gets for it, a valid Python identifier.
    service_class
        Its service class, for example :class:`~dulcimer.service_class.StorageServiceClass`.
    dimse_msg_type
        For Query/Retrieve ``"C-FIND"``, ``"C-GET"`` or ``"C-MOVE"``. It must be given for
        :class:`~dulcimer.service_class.QueryRetrieveServiceClass`; for the other query and retrieve services
        the end of the keyword tells (``Find``, ``Get`` or ``Move``) if it is not, else it is ``"C-FIND"``.
    """
    checked = UID(uid)
    if not keyword.isidentifier() or iskeyword(keyword):
        raise ValueError(f"The keyword '{keyword}' is not a valid Python identifier or is a Python keyword")
    if not (isinstance(service_class, type) and issubclass(service_class, ServiceClass)):
        raise TypeError("'service_class' must be a ServiceClass subclass such as 'StorageServiceClass'")
    service = service_class.service
    if service is None:
        raise ValueError(f"{service_class.__name__} names no service: use one of its subclasses")
    operations: list[str] | None = None
    if issubclass(service_class, _c.QueryRetrieveServiceClass):
        operations = [_retrieval(service, keyword, dimse_msg_type)]
    registry.register(str(checked), keyword, service, operations)


def _retrieval(service: Service, keyword: str, operation: str) -> str:
    if operation in _RETRIEVALS:
        return operation
    if service.key == tables.QUERY_RETRIEVE.key or operation:
        raise ValueError(
            "'dimse_msg_type' must be 'C-FIND', 'C-GET' or 'C-MOVE' when registering a UID for Q/R"
        )
    for known in _RETRIEVALS[1:]:
        if keyword.lower().endswith(known[2:].lower()) and known in service.all_operations:
            return known
    return "C-FIND"


__all__ = [
    "SOPClass",
    "register_uid",
    "uid_to_service_class",
    "uid_to_sop_class",
    *registry.REGISTRY.keywords,
]

if TYPE_CHECKING:

    def __getattr__(name: str) -> SOPClass: ...

else:

    def __getattr__(name: str) -> Any:
        group = _GROUPS.get(name)
        if group is not None:
            classes = registry.REGISTRY.classes(group)
            return {keyword: uid for keyword, uid in classes.items() if uid not in _UNLISTED}
        uid = registry.REGISTRY.uid_for(name)
        if uid is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return SOPClass(uid)


def __dir__() -> list[str]:
    return sorted({*globals(), *_GROUPS, *registry.REGISTRY.keywords})
