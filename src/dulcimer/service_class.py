"""The service classes that DIMSE-C uses, as descriptions (PS3.4).

Requests are not dispatched through these classes: bind a handler to an event of :mod:`dulcimer.evt` instead.
They name the services for :func:`~dulcimer.sop_class.register_uid`, and they know the services' statuses.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydicom.dataset import Dataset

from dulcimer.services import tables

if TYPE_CHECKING:
    from dulcimer.dimse_primitives import DIMSEPrimitive
    from dulcimer.services.statuses import Statuses
    from dulcimer.services.tables import Service

    _P = TypeVar("_P", bound=DIMSEPrimitive)

__all__ = [
    "BasicWorklistManagementServiceClass",
    "ColorPaletteQueryRetrieveServiceClass",
    "DefinedProcedureProtocolQueryRetrieveServiceClass",
    "HangingProtocolQueryRetrieveServiceClass",
    "ImplantTemplateQueryRetrieveServiceClass",
    "InventoryQueryRetrieveServiceClass",
    "NonPatientObjectStorageServiceClass",
    "ProtocolApprovalQueryRetrieveServiceClass",
    "QueryRetrieveServiceClass",
    "RelevantPatientInformationQueryServiceClass",
    "ServiceClass",
    "StorageServiceClass",
    "SubstanceAdministrationQueryServiceClass",
    "VerificationServiceClass",
]

_LOGGER = logging.getLogger("dulcimer.service_class")

NO_STATUS = 0xC001
"""Answered when a handler gave a data set without *Status* (0000,0900)."""
INVALID_STATUS = 0xC002
"""Answered when a handler gave neither an int nor a data set."""


class ServiceClass:
    """A service class.

    Attributes
    ----------
    assoc
        The association that it is for.
    service
        Its row in the tables, None for this base class.
    statuses
        Its status codes: a mapping of code to (category, meaning).
    """

    service: ClassVar[Service | None] = None
    statuses: Statuses = tables.GENERAL

    def __init_subclass__(cls, service: Service | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if service is not None:
            cls.service = service
            cls.statuses = service.statuses

    def __init__(self, assoc: Any) -> None:
        self.assoc = assoc

    @property
    def ae(self) -> Any:
        """The application entity of the association."""
        return self.assoc.ae

    @property
    def dimse(self) -> Any:
        """The DIMSE provider of the association."""
        return self.assoc.dimse

    def is_cancelled(self, msg_id: int) -> bool:
        """Tell whether the peer has sent a C-CANCEL for its request with this message ID."""
        return bool(self.assoc.is_cancelled(msg_id))

    def is_valid_status(self, status: int) -> bool:
        """Tell whether the service defines this status code."""
        return status in self.statuses

    def validate_status(self, status: int | Dataset, rsp: _P) -> _P:
        """Put a handler's status into a response, and return the response.

        A status that the service does not define is sent nevertheless, and logged.

        Parameters
        ----------
        status
            What the handler gave: a code, or a data set with *Status* and the elements that go with it.
        rsp
            The response.
        """
        if isinstance(status, Dataset):
            if "Status" not in status:
                _LOGGER.error("The handler's status data set has no (0000,0900) Status")
                rsp.Status = NO_STATUS
            else:
                for element in status:
                    if (
                        element.keyword == "Status"
                        or element.keyword in rsp.STATUS_OPTIONAL_KEYWORDS
                        or (
                            element.keyword in ("AffectedSOPClassUID", "AffectedSOPInstanceUID")
                            and hasattr(type(rsp), element.keyword)
                        )
                    ):
                        setattr(rsp, element.keyword, element.value)
                    else:
                        _LOGGER.warning(
                            "The handler's status data set has %s, which a %s response cannot carry",
                            element.tag,
                            rsp.msg_type,
                        )
        elif isinstance(status, int):
            rsp.Status = status
        else:
            _LOGGER.error("The handler gave a status that is neither an int nor a Dataset")
            rsp.Status = INVALID_STATUS
        if rsp.Status is not None and not self.is_valid_status(rsp.Status):
            _LOGGER.warning("The handler gave status 0x%04X, which the service does not define", rsp.Status)
        return rsp


class VerificationServiceClass(ServiceClass, service=tables.VERIFICATION):
    """Verification (PS3.4 Annex A)."""


class StorageServiceClass(ServiceClass, service=tables.STORAGE):
    """Storage (PS3.4 Annex B)."""

    uid = "1.2.840.10008.4.2"
    """The UID that common extended negotiation has for the service class (PS3.4 B.3.1.4)."""


class QueryRetrieveServiceClass(ServiceClass, service=tables.QUERY_RETRIEVE):
    """Query/Retrieve (PS3.4 Annex C)."""


class BasicWorklistManagementServiceClass(QueryRetrieveServiceClass, service=tables.BASIC_WORKLIST):
    """Basic Worklist Management (PS3.4 Annex K)."""


class RelevantPatientInformationQueryServiceClass(ServiceClass, service=tables.RELEVANT_PATIENT_QUERY):
    """Relevant Patient Information Query (PS3.4 Annex Q)."""


class HangingProtocolQueryRetrieveServiceClass(QueryRetrieveServiceClass, service=tables.HANGING_PROTOCOL):
    """Hanging Protocol Query/Retrieve (PS3.4 Annex U)."""


class SubstanceAdministrationQueryServiceClass(
    QueryRetrieveServiceClass, service=tables.SUBSTANCE_ADMINISTRATION
):
    """Substance Administration Query (PS3.4 Annex V)."""


class ColorPaletteQueryRetrieveServiceClass(QueryRetrieveServiceClass, service=tables.COLOR_PALETTE):
    """Color Palette Query/Retrieve (PS3.4 Annex X)."""


class ImplantTemplateQueryRetrieveServiceClass(QueryRetrieveServiceClass, service=tables.IMPLANT_TEMPLATE):
    """Implant Template Query/Retrieve (PS3.4 Annex BB)."""


class NonPatientObjectStorageServiceClass(StorageServiceClass, service=tables.NON_PATIENT_OBJECT):
    """Non-Patient Object Storage (PS3.4 Annex GG)."""


class DefinedProcedureProtocolQueryRetrieveServiceClass(
    QueryRetrieveServiceClass, service=tables.DEFINED_PROCEDURE
):
    """Defined Procedure Protocol Query/Retrieve (PS3.4 Annex HH)."""


class ProtocolApprovalQueryRetrieveServiceClass(QueryRetrieveServiceClass, service=tables.PROTOCOL_APPROVAL):
    """Protocol Approval Query/Retrieve (PS3.4 Annex II)."""


class InventoryQueryRetrieveServiceClass(QueryRetrieveServiceClass, service=tables.INVENTORY):
    """Inventory Query/Retrieve (PS3.4 Annex JJ)."""
