"""The service classes that DIMSE-N uses, as descriptions (PS3.4); see :mod:`dulcimer.service_class`."""

from __future__ import annotations

from dulcimer.service_class import ServiceClass
from dulcimer.services import tables

__all__ = [
    "ApplicationEventLoggingServiceClass",
    "DisplaySystemManagementServiceClass",
    "InstanceAvailabilityNotificationServiceClass",
    "MediaCreationManagementServiceClass",
    "PrintManagementServiceClass",
    "ProcedureStepServiceClass",
    "RTMachineVerificationServiceClass",
    "StorageCommitmentServiceClass",
    "StorageManagementServiceClass",
    "UnifiedProcedureStepServiceClass",
]


class ProcedureStepServiceClass(ServiceClass, service=tables.PROCEDURE_STEP):
    """Modality Performed Procedure Step (PS3.4 Annex F)."""


class PrintManagementServiceClass(ServiceClass, service=tables.PRINT_MANAGEMENT):
    """Print Management (PS3.4 Annex H)."""


class StorageCommitmentServiceClass(ServiceClass, service=tables.STORAGE_COMMITMENT):
    """Storage Commitment (PS3.4 Annex J)."""


class ApplicationEventLoggingServiceClass(ServiceClass, service=tables.APPLICATION_EVENT):
    """Application Event Logging (PS3.4 Annex P)."""


class InstanceAvailabilityNotificationServiceClass(ServiceClass, service=tables.INSTANCE_AVAILABILITY):
    """Instance Availability Notification (PS3.4 Annex R)."""


class MediaCreationManagementServiceClass(ServiceClass, service=tables.MEDIA_CREATION):
    """Media Creation Management (PS3.4 Annex S)."""


class UnifiedProcedureStepServiceClass(ServiceClass, service=tables.UNIFIED_PROCEDURE_STEP):
    """Unified Procedure Step (PS3.4 Annex CC)."""


class RTMachineVerificationServiceClass(ServiceClass, service=tables.RT_MACHINE_VERIFICATION):
    """RT Machine Verification (PS3.4 Annex DD)."""


class DisplaySystemManagementServiceClass(ServiceClass, service=tables.DISPLAY_SYSTEM):
    """Display System Management (PS3.4 Annex EE)."""


class StorageManagementServiceClass(ServiceClass, service=tables.STORAGE_MANAGEMENT):
    """Storage Management (PS3.4 Annex KK)."""
