"""DICOM networking for Python.

The names below are imported when they are first used, so that ``import dulcimer`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dulcimer.identity import IMPLEMENTATION_UID as DULCIMER_IMPLEMENTATION_UID
from dulcimer.identity import IMPLEMENTATION_VERSION as DULCIMER_IMPLEMENTATION_VERSION
from dulcimer.identity import UID_PREFIX as DULCIMER_UID_PREFIX
from dulcimer.identity import __version__

# Programs that were written for pynetdicom know these names; the values are this implementation's own.
PYNETDICOM_IMPLEMENTATION_UID = DULCIMER_IMPLEMENTATION_UID
PYNETDICOM_IMPLEMENTATION_VERSION = DULCIMER_IMPLEMENTATION_VERSION
PYNETDICOM_UID_PREFIX = DULCIMER_UID_PREFIX

if TYPE_CHECKING:
    from dulcimer import events as evt
    from dulcimer._globals import ALL_TRANSFER_SYNTAXES, DEFAULT_TRANSFER_SYNTAXES
    from dulcimer._logging import debug_logger
    from dulcimer.ae import ApplicationEntity as AE
    from dulcimer.association import Association
    from dulcimer.presentation import (
        AllStoragePresentationContexts,
        ApplicationEventLoggingPresentationContexts,
        BasicWorklistManagementPresentationContexts,
        ColorPalettePresentationContexts,
        DefinedProcedureProtocolPresentationContexts,
        DisplaySystemPresentationContexts,
        HangingProtocolPresentationContexts,
        ImplantTemplatePresentationContexts,
        InstanceAvailabilityPresentationContexts,
        MediaCreationManagementPresentationContexts,
        MediaStoragePresentationContexts,
        ModalityPerformedPresentationContexts,
        NonPatientObjectPresentationContexts,
        PresentationContext,
        PrintManagementPresentationContexts,
        ProcedureStepPresentationContexts,
        ProtocolApprovalPresentationContexts,
        QueryRetrievePresentationContexts,
        RelevantPatientInformationPresentationContexts,
        RTMachineVerificationPresentationContexts,
        StorageCommitmentPresentationContexts,
        StoragePresentationContexts,
        SubstanceAdministrationPresentationContexts,
        UnifiedProcedurePresentationContexts,
        VerificationPresentationContexts,
        build_context,
        build_role,
    )
    from dulcimer.sop_class import register_uid

_HOMES = {
    "AE": ("dulcimer.ae", "ApplicationEntity"),
    "Association": ("dulcimer.association", "Association"),
    "evt": ("dulcimer.events", ""),
    "ALL_TRANSFER_SYNTAXES": ("dulcimer._globals", "ALL_TRANSFER_SYNTAXES"),
    "DEFAULT_TRANSFER_SYNTAXES": ("dulcimer._globals", "DEFAULT_TRANSFER_SYNTAXES"),
    "debug_logger": ("dulcimer._logging", "debug_logger"),
    "register_uid": ("dulcimer.sop_class", "register_uid"),
    "PresentationContext": ("dulcimer.presentation", "PresentationContext"),
    "build_context": ("dulcimer.presentation", "build_context"),
    "build_role": ("dulcimer.presentation", "build_role"),
}
"""Where the public names come from: module and attribute, "" for the module itself."""

__all__ = [
    "AE",
    "ALL_TRANSFER_SYNTAXES",
    "DEFAULT_TRANSFER_SYNTAXES",
    "DULCIMER_IMPLEMENTATION_UID",
    "DULCIMER_IMPLEMENTATION_VERSION",
    "DULCIMER_UID_PREFIX",
    "PYNETDICOM_IMPLEMENTATION_UID",
    "PYNETDICOM_IMPLEMENTATION_VERSION",
    "PYNETDICOM_UID_PREFIX",
    "AllStoragePresentationContexts",
    "ApplicationEventLoggingPresentationContexts",
    "Association",
    "BasicWorklistManagementPresentationContexts",
    "ColorPalettePresentationContexts",
    "DefinedProcedureProtocolPresentationContexts",
    "DisplaySystemPresentationContexts",
    "HangingProtocolPresentationContexts",
    "ImplantTemplatePresentationContexts",
    "InstanceAvailabilityPresentationContexts",
    "MediaCreationManagementPresentationContexts",
    "MediaStoragePresentationContexts",
    "ModalityPerformedPresentationContexts",
    "NonPatientObjectPresentationContexts",
    "PresentationContext",
    "PrintManagementPresentationContexts",
    "ProcedureStepPresentationContexts",
    "ProtocolApprovalPresentationContexts",
    "QueryRetrievePresentationContexts",
    "RTMachineVerificationPresentationContexts",
    "RelevantPatientInformationPresentationContexts",
    "StorageCommitmentPresentationContexts",
    "StoragePresentationContexts",
    "SubstanceAdministrationPresentationContexts",
    "UnifiedProcedurePresentationContexts",
    "VerificationPresentationContexts",
    "__version__",
    "build_context",
    "build_role",
    "debug_logger",
    "evt",
    "register_uid",
]

if not TYPE_CHECKING:  # a type checker knows the names from the imports above

    def __getattr__(name: str) -> Any:
        module, attribute = _HOMES.get(name, ("", ""))
        if not module and name.endswith("PresentationContexts") and name in __all__:
            module, attribute = "dulcimer.presentation", name
        if not module:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = import_module(module)
        value = globals()[name] = getattr(found, attribute) if attribute else found
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
