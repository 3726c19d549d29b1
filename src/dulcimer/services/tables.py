"""The service classes of PS3.4, one row each: name, annex, SOP classes with their operations, statuses.

This is the one copy of these facts. What a peer sees of them is decided elsewhere: the registry looks them
up, :mod:`dulcimer.status` and :mod:`dulcimer.service_class` give them their public names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from dulcimer.services import sop_classes
from dulcimer.services.sop_classes import Row
from dulcimer.services.statuses import Statuses, cancel, failure, pending, success, warning

GENERAL: Final = Statuses(
    (
        success(0x0000, "The operation was performed"),
        failure(0x0105, "No such attribute"),
        failure(0x0106, "Invalid attribute value"),
        warning(0x0107, "Attribute list error"),
        failure(0x0110, "Processing failure"),
        failure(0x0111, "Duplicate SOP Instance"),
        failure(0x0112, "No such SOP Instance"),
        failure(0x0113, "No such event type"),
        failure(0x0114, "No such argument"),
        failure(0x0115, "Invalid argument value"),
        warning(0x0116, "Attribute value out of range"),
        failure(0x0117, "Invalid SOP Instance UID"),
        failure(0x0118, "No such SOP Class"),
        failure(0x0119, "Class-instance conflict"),
        failure(0x0120, "Missing attribute"),
        failure(0x0121, "Missing attribute value"),
        failure(0x0122, "Refused: SOP Class not supported"),
        failure(0x0123, "No such action type"),
        failure(0x0124, "Refused: not authorized"),
        failure(0x0210, "Duplicate invocation"),
        failure(0x0211, "Unrecognized operation"),
        failure(0x0212, "Mistyped argument"),
        failure(0x0213, "Resource limitation"),
        cancel(0xFE00, "Terminated by a cancel request"),
    )
)
"""The codes that every service class shares (PS3.7 Annex C)."""

_OPTIONAL_UNSUPPORTED: Final = warning(0x0001, "Requested optional attributes are not supported")
_OUT_OF_RESOURCES: Final = failure(0xA700, "Refused: out of resources")
_MISMATCH: Final = failure(0xA900, "Data set or identifier does not match the SOP Class")
_UNABLE: Final = failure(0xC000, "Unable to process", 0xCFFF)
_MATCH: Final = pending(0xFF00, "Matches are continuing; optional keys were treated like required keys")
_MATCH_KEYS: Final = pending(0xFF01, "Matches are continuing; some optional keys were not supported")
_RETRIEVE_FAILURES: Final = (
    failure(0xA701, "Refused: out of resources, the number of matches cannot be calculated"),
    failure(0xA702, "Refused: out of resources, sub-operations cannot be performed"),
    _MISMATCH,
    failure(0xAA00, "None of the frames requested were found in the SOP Instance"),
    failure(0xAA01, "Unable to create a new object of this SOP Class"),
    failure(0xAA02, "Unable to extract frames"),
    failure(0xAA03, "Time based request for an instance that is not time based"),
    failure(0xAA04, "Invalid request"),
    warning(0xB000, "Sub-operations are complete; some failed or had warnings"),
    _UNABLE,
    pending(0xFF00, "Sub-operations are continuing"),
)

STORAGE_STATUSES: Final = GENERAL.extended(
    failure(0xA700, "Refused: out of resources", 0xA7FF),
    failure(0xA900, "Data set does not match the SOP Class", 0xA9FF),
    warning(0xB000, "Data elements were coerced"),
    warning(0xB006, "Elements were discarded"),
    warning(0xB007, "Data set does not match the SOP Class"),
    failure(0xC000, "Cannot understand", 0xCFFF),
)
"""PS3.4 B.2.3."""

FIND_STATUSES: Final = GENERAL.extended(
    _OUT_OF_RESOURCES,
    failure(0xA710, "Invalid prior record key"),
    _MISMATCH,
    warning(0xB001, "The response limit was reached; a further request may return more matches"),
    _UNABLE,
    _MATCH,
    _MATCH_KEYS,
)
"""PS3.4 C.4.1.1.4."""

MOVE_STATUSES: Final = GENERAL.extended(
    *_RETRIEVE_FAILURES, failure(0xA801, "Refused: move destination unknown")
)
"""PS3.4 C.4.2.1.5."""

GET_STATUSES: Final = GENERAL.extended(*_RETRIEVE_FAILURES)
"""PS3.4 C.4.3.1.4."""

WORKLIST_STATUSES: Final = GENERAL.extended(_OUT_OF_RESOURCES, _MISMATCH, _UNABLE, _MATCH, _MATCH_KEYS)
"""PS3.4 K.4.1.1.4."""

RELEVANT_PATIENT_STATUSES: Final = GENERAL.extended(
    _OUT_OF_RESOURCES,
    _MISMATCH,
    failure(0xC000, "Unable to process"),
    failure(0xC100, "More than one match found"),
    failure(0xC200, "Unable to support the requested template"),
    pending(0xFF00, "A match is supplied"),
)
"""PS3.4 Q.4.1.1.4."""

SUBSTANCE_ADMINISTRATION_STATUSES: Final = WORKLIST_STATUSES
"""PS3.4 V.4.1.1.4."""

NON_PATIENT_OBJECT_STATUSES: Final = GENERAL.extended(
    _OUT_OF_RESOURCES, _MISMATCH, failure(0xC000, "Cannot understand")
)
"""PS3.4 GG.4.2."""

PROCEDURE_STEP_STATUSES: Final = GENERAL.extended(_OPTIONAL_UNSUPPORTED)
"""PS3.4 F.7, F.8, F.9."""

PRINT_STATUSES: Final = GENERAL.extended(
    warning(0xB600, "Memory allocation not supported"),
    warning(0xB601, "Film session printing (collation) is not supported"),
    warning(0xB602, "The film session has no image boxes (empty page)"),
    warning(0xB603, "The film box has no image boxes (empty page)"),
    warning(0xB604, "Image is larger than the image box; it was demagnified"),
    warning(0xB605, "Minimum or maximum density is outside the printer's range; its own limit is used"),
    warning(0xB609, "Image is larger than the image box; it was cropped"),
    warning(0xB60A, "Image or combined print image is larger than the image box; it was decimated"),
    failure(0xC600, "The film session has no film boxes"),
    failure(0xC601, "Unable to create a print job: the print queue is full"),
    failure(0xC602, "Unable to create a print job: the print queue is full"),
    failure(0xC603, "Image is larger than the image box"),
    failure(0xC605, "Not enough printer memory for the image"),
    failure(0xC613, "Combined print image is larger than the image box"),
    failure(0xC616, "An existing film box has not been printed; a new one is not created"),
)
"""PS3.4 H.4."""

APPLICATION_EVENT_STATUSES: Final = GENERAL.extended(
    warning(0xB101, "Synchronization Frame of Reference UID differs from the SCP's"),
    warning(0xB102, "Study Instance UID coerced; the event was logged under another one"),
    warning(0xB104, "IDs are inconsistent in matching a current study; the event was logged"),
    failure(0xC101, "Procedural logging not available for the Study Instance UID"),
    failure(0xC102, "Event Information does not match the template"),
    failure(0xC103, "The event cannot be matched to a current study"),
    failure(0xC104, "IDs are inconsistent in matching a current study; the event was not logged"),
    failure(0xC10E, "The operator may not add to the Medication Administration Record"),
    failure(0xC110, "The patient cannot be identified from Patient ID or Admission ID"),
    failure(0xC111, "Update of the Medication Administration Record failed"),
)
"""PS3.4 P.2, P.3."""

MEDIA_CREATION_STATUSES: Final = GENERAL.extended(
    _OPTIONAL_UNSUPPORTED,
    failure(0xA510, "Media creation was already initiated for this SOP Instance"),
    failure(0xC201, "The media creation request is already completed"),
    failure(0xC202, "The media creation request is in progress and cannot be interrupted"),
    failure(0xC203, "Cancellation denied for an unspecified reason"),
)
"""PS3.4 S.3."""

UPS_STATUSES: Final = GENERAL.extended(
    _OPTIONAL_UNSUPPORTED,
    _OUT_OF_RESOURCES,
    _MISMATCH,
    warning(0xB300, "The UPS was created with modifications"),
    warning(0xB301, "Deletion lock not granted"),
    warning(0xB304, "The UPS is already in the requested state of CANCELED"),
    warning(0xB305, "Invalid values were coerced to valid ones"),
    warning(0xB306, "The UPS is already in the requested state of COMPLETED"),
    _UNABLE,
    failure(0xC300, "The UPS may no longer be updated"),
    failure(0xC301, "The correct Transaction UID was not provided"),
    failure(0xC302, "The UPS is already IN PROGRESS"),
    failure(0xC303, "The UPS may only become SCHEDULED via N-CREATE"),
    failure(0xC304, "The UPS does not meet the final state requirements of the requested state"),
    failure(0xC307, "The SOP Instance UID does not exist or is not a UPS managed by this SCP"),
    failure(0xC308, "The receiving AE title is unknown to this SCP"),
    failure(0xC309, "The Procedure Step State was not SCHEDULED"),
    failure(0xC310, "The UPS is not yet IN PROGRESS"),
    failure(0xC311, "The UPS is already COMPLETED"),
    failure(0xC312, "The performer cannot be contacted"),
    failure(0xC313, "The performer chooses not to cancel"),
    failure(0xC314, "The action is not appropriate for the instance"),
    failure(0xC315, "The SCP does not support event reports"),
    _MATCH,
    _MATCH_KEYS,
)
"""PS3.4 CC.2."""

RT_VERIFICATION_STATUSES: Final = GENERAL.extended(
    failure(0xC112, "The machine verification instance was not found"),
    failure(0xC221, "Referenced Fraction Group Number does not exist in the referenced plan"),
    failure(0xC222, "No beams exist within the referenced fraction group"),
    failure(0xC223, "Already verifying; this request cannot be processed now"),
    failure(0xC224, "Referenced Beam Number not found within the referenced fraction group"),
    failure(0xC225, "Referenced device or accessory not supported"),
    failure(0xC226, "Referenced device or accessory not found within the referenced beam"),
    failure(0xC227, "Referenced RT Plan not found"),
)
"""PS3.4 DD.3.2."""

STORAGE_MANAGEMENT_STATUSES: Final = GENERAL.extended(
    warning(0xB010, "Attribute list error: key attributes are not supported for matching")
)
"""PS3.4 KK.2."""

_NO_OPERATIONS: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Service:
    """A service class of PS3.4. Services are equal by their key, whatever was registered with them.

    Attributes
    ----------
    key
        Short identifier, such as ``"PROCEDURE_STEP"``.
    name
        Its name in the Standard.
    annex
        Where PS3.4 defines it.
    classes
        Per SOP Class UID the DIMSE operations, such as ``{"N-CREATE", "N-SET"}``.
    keywords
        The SOP class keywords of ``classes``, with their UIDs.
    statuses
        The status codes that its operations answer with.
    by_operation
        The status codes of single operations where they differ.
    all_operations
        Every operation that some SOP class of the service uses.
    """

    key: str
    name: str = field(compare=False)
    annex: str = field(compare=False)
    classes: Mapping[str, frozenset[str]] = field(repr=False, compare=False)
    keywords: Mapping[str, str] = field(repr=False, compare=False)
    statuses: Statuses = field(repr=False, compare=False)
    by_operation: Mapping[str, Statuses] = field(repr=False, compare=False)
    all_operations: frozenset[str] = field(repr=False, compare=False)

    def operations(self, uid: str) -> frozenset[str]:
        """Return the DIMSE operations of a SOP class, those of the whole service for an unknown one."""
        return self.classes.get(uid, self.all_operations)

    def statuses_for(self, operation: str) -> Statuses:
        """Return the status codes that answer ``operation``, for example ``"C-FIND"``."""
        return self.by_operation.get(operation, self.statuses)


def _service(
    key: str,
    name: str,
    annex: str,
    *rows: tuple[Row, ...],
    statuses: Statuses = GENERAL,
    by_operation: Mapping[str, Statuses] | None = None,
) -> Service:
    interned: dict[str, frozenset[str]] = {"": _NO_OPERATIONS}
    classes: dict[str, frozenset[str]] = {}
    keywords: dict[str, str] = {}
    for group in rows:
        for keyword, uid, names in group:
            if names not in interned:
                interned[names] = frozenset(names.split())
            classes[uid] = interned[names]
            keywords[keyword] = uid
    every = _NO_OPERATIONS.union(*interned.values())
    return Service(
        key,
        name,
        annex,
        MappingProxyType(classes),
        MappingProxyType(keywords),
        statuses,
        MappingProxyType(dict(by_operation or {})),
        every,
    )


_QR: Final = {"C-FIND": FIND_STATUSES, "C-MOVE": MOVE_STATUSES, "C-GET": GET_STATUSES}

VERIFICATION: Final = _service(
    "VERIFICATION", "Verification Service Class", "Annex A", sop_classes.VERIFICATION
)
STORAGE: Final = _service(
    "STORAGE",
    "Storage Service Class",
    "Annex B",
    sop_classes.STORAGE,
    sop_classes.STORAGE_SPECIALIZED,
    sop_classes.STORAGE_RETIRED,
    sop_classes.STORAGE_OTHER,
    statuses=STORAGE_STATUSES,
)
QUERY_RETRIEVE: Final = _service(
    "QR", "Query/Retrieve Service Class", "Annex C", sop_classes.QR, by_operation=_QR
)
PROCEDURE_STEP: Final = _service(
    "PROCEDURE_STEP",
    "Modality Performed Procedure Step",
    "Annex F",
    sop_classes.PROCEDURE_STEP,
    statuses=PROCEDURE_STEP_STATUSES,
)
PRINT_MANAGEMENT: Final = _service(
    "PRINT_MANAGEMENT",
    "Print Management Service Class",
    "Annex H",
    sop_classes.PRINT_MANAGEMENT,
    statuses=PRINT_STATUSES,
)
MEDIA_STORAGE: Final = _service(
    "MEDIA_STORAGE", "Media Storage Service Class", "Annex I", sop_classes.MEDIA_STORAGE
)
STORAGE_COMMITMENT: Final = _service(
    "STORAGE_COMMITMENT", "Storage Commitment Service Class", "Annex J", sop_classes.STORAGE_COMMITMENT
)
BASIC_WORKLIST: Final = _service(
    "BASIC_WORKLIST",
    "Basic Worklist Management Service Class",
    "Annex K",
    sop_classes.BASIC_WORKLIST,
    statuses=FIND_STATUSES,
)
APPLICATION_EVENT: Final = _service(
    "APPLICATION_EVENT",
    "Application Event Logging Service Class",
    "Annex P",
    sop_classes.APPLICATION_EVENT,
    statuses=APPLICATION_EVENT_STATUSES,
)
RELEVANT_PATIENT_QUERY: Final = _service(
    "RELEVANT_PATIENT_QUERY",
    "Relevant Patient Information Query Service Class",
    "Annex Q",
    sop_classes.RELEVANT_PATIENT_QUERY,
    statuses=RELEVANT_PATIENT_STATUSES,
)
INSTANCE_AVAILABILITY: Final = _service(
    "INSTANCE_AVAILABILITY",
    "Instance Availability Notification Service Class",
    "Annex R",
    sop_classes.INSTANCE_AVAILABILITY,
)
MEDIA_CREATION: Final = _service(
    "MEDIA_CREATION",
    "Media Creation Management Service Class",
    "Annex S",
    sop_classes.MEDIA_CREATION,
    statuses=MEDIA_CREATION_STATUSES,
)
HANGING_PROTOCOL: Final = _service(
    "HANGING_PROTOCOL",
    "Hanging Protocol Query/Retrieve Service Class",
    "Annex U",
    sop_classes.HANGING_PROTOCOL,
    by_operation=_QR,
)
SUBSTANCE_ADMINISTRATION: Final = _service(
    "SUBSTANCE_ADMINISTRATION",
    "Substance Administration Query Service Class",
    "Annex V",
    sop_classes.SUBSTANCE_ADMINISTRATION,
    statuses=SUBSTANCE_ADMINISTRATION_STATUSES,
)
COLOR_PALETTE: Final = _service(
    "COLOR_PALETTE",
    "Color Palette Query/Retrieve Service Class",
    "Annex X",
    sop_classes.COLOR_PALETTE,
    by_operation=_QR,
)
IMPLANT_TEMPLATE: Final = _service(
    "IMPLANT_TEMPLATE",
    "Implant Template Query/Retrieve Service Classes",
    "Annex BB",
    sop_classes.IMPLANT_TEMPLATE,
    by_operation=_QR,
)
UNIFIED_PROCEDURE_STEP: Final = _service(
    "UNIFIED_PROCEDURE_STEP",
    "Unified Procedure Step Service",
    "Annex CC",
    sop_classes.UNIFIED_PROCEDURE_STEP,
    statuses=UPS_STATUSES,
)
RT_MACHINE_VERIFICATION: Final = _service(
    "RT_MACHINE_VERIFICATION",
    "RT Machine Verification Service Classes",
    "Annex DD",
    sop_classes.RT_MACHINE_VERIFICATION,
    statuses=RT_VERIFICATION_STATUSES,
)
DISPLAY_SYSTEM: Final = _service(
    "DISPLAY_SYSTEM", "Display System Management Service Class", "Annex EE", sop_classes.DISPLAY_SYSTEM
)
NON_PATIENT_OBJECT: Final = _service(
    "NON_PATIENT_OBJECT",
    "Non-Patient Object Storage Service Class",
    "Annex GG",
    sop_classes.NON_PATIENT_OBJECT,
    statuses=NON_PATIENT_OBJECT_STATUSES,
)
DEFINED_PROCEDURE: Final = _service(
    "DEFINED_PROCEDURE",
    "Defined Procedure Protocol Query/Retrieve Service Class",
    "Annex HH",
    sop_classes.DEFINED_PROCEDURE,
    by_operation=_QR,
)
PROTOCOL_APPROVAL: Final = _service(
    "PROTOCOL_APPROVAL",
    "Protocol Approval Query/Retrieve Service Class",
    "Annex II",
    sop_classes.PROTOCOL_APPROVAL,
    by_operation=_QR,
)
INVENTORY: Final = _service(
    "INVENTORY",
    "Inventory Query/Retrieve Service Class",
    "Annex JJ",
    sop_classes.INVENTORY,
    by_operation=_QR,
)
STORAGE_MANAGEMENT: Final = _service(
    "STORAGE_MANAGEMENT",
    "Storage Management Service Class",
    "Annex KK",
    sop_classes.STORAGE_MANAGEMENT,
    statuses=STORAGE_MANAGEMENT_STATUSES,
)

SERVICES: Final = (
    VERIFICATION,
    STORAGE,
    QUERY_RETRIEVE,
    PROCEDURE_STEP,
    PRINT_MANAGEMENT,
    MEDIA_STORAGE,
    STORAGE_COMMITMENT,
    BASIC_WORKLIST,
    APPLICATION_EVENT,
    RELEVANT_PATIENT_QUERY,
    INSTANCE_AVAILABILITY,
    MEDIA_CREATION,
    HANGING_PROTOCOL,
    SUBSTANCE_ADMINISTRATION,
    COLOR_PALETTE,
    IMPLANT_TEMPLATE,
    UNIFIED_PROCEDURE_STEP,
    RT_MACHINE_VERIFICATION,
    DISPLAY_SYSTEM,
    NON_PATIENT_OBJECT,
    DEFINED_PROCEDURE,
    PROTOCOL_APPROVAL,
    INVENTORY,
    STORAGE_MANAGEMENT,
)
"""Every service class, in the order of PS3.4."""

META_CLASSES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "1.2.840.10008.5.1.1.9": frozenset(
            {
                "1.2.840.10008.5.1.1.1",
                "1.2.840.10008.5.1.1.2",
                "1.2.840.10008.5.1.1.4",
                "1.2.840.10008.5.1.1.16",
            }
        ),
        "1.2.840.10008.5.1.1.18": frozenset(
            {
                "1.2.840.10008.5.1.1.1",
                "1.2.840.10008.5.1.1.2",
                "1.2.840.10008.5.1.1.4.1",
                "1.2.840.10008.5.1.1.16",
            }
        ),
    }
)
"""Meta SOP classes, each with the SOP classes whose commands its context carries (PS3.4 H.3.2.2)."""
