"""The attributes that the index knows: at which level of the Query/Retrieve models each of them is
(PS3.4 C.6.1.1, C.6.2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Level = Literal["PATIENT", "STUDY", "SERIES", "IMAGE"]

LEVELS: Final[tuple[Level, ...]] = ("PATIENT", "STUDY", "SERIES", "IMAGE")


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of a level.

    Attributes
    ----------
    tag, vr
        Tag and value representation.
    name
        Its name in the index.
    level
        The level that it belongs to.
    many
        Whether it may have several values: they are kept with backslashes in between.
    counted
        Whether it is worked out from what is stored, not read from a data set.
    """

    tag: int
    name: str
    vr: str
    level: Level
    many: bool = False
    counted: bool = False


_MANY: Final = True

ATTRIBUTES: Final = (
    Attribute(0x00100010, "patient_name", "PN", "PATIENT"),
    Attribute(0x00100020, "patient_id", "LO", "PATIENT"),
    Attribute(0x00100021, "issuer_of_patient_id", "LO", "PATIENT"),
    Attribute(0x00100030, "patient_birth_date", "DA", "PATIENT"),
    Attribute(0x00100032, "patient_birth_time", "TM", "PATIENT"),
    Attribute(0x00100040, "patient_sex", "CS", "PATIENT"),
    Attribute(0x00101000, "other_patient_ids", "LO", "PATIENT", _MANY),
    Attribute(0x00101002, "other_patient_ids_sequence", "SQ", "PATIENT"),
    Attribute(0x00102160, "ethnic_group", "SH", "PATIENT"),
    Attribute(0x00104000, "patient_comments", "LT", "PATIENT"),
    Attribute(0x0020000D, "study_instance_uid", "UI", "STUDY"),
    Attribute(0x00080020, "study_date", "DA", "STUDY"),
    Attribute(0x00080030, "study_time", "TM", "STUDY"),
    Attribute(0x00080050, "accession_number", "SH", "STUDY"),
    Attribute(0x00080090, "referring_physician_name", "PN", "STUDY"),
    Attribute(0x00081030, "study_description", "LO", "STUDY"),
    Attribute(0x00081032, "procedure_code_sequence", "SQ", "STUDY"),
    Attribute(0x00081060, "reading_physicians_names", "PN", "STUDY", _MANY),
    Attribute(0x00081080, "admitting_diagnoses_description", "LO", "STUDY", _MANY),
    Attribute(0x00101010, "patient_age", "AS", "STUDY"),
    Attribute(0x00101020, "patient_size", "DS", "STUDY"),
    Attribute(0x00101030, "patient_weight", "DS", "STUDY"),
    Attribute(0x00102180, "occupation", "SH", "STUDY"),
    Attribute(0x001021B0, "additional_patient_history", "LT", "STUDY"),
    Attribute(0x00200010, "study_id", "SH", "STUDY"),
    Attribute(0x0020000E, "series_instance_uid", "UI", "SERIES"),
    Attribute(0x00080021, "series_date", "DA", "SERIES"),
    Attribute(0x00080031, "series_time", "TM", "SERIES"),
    Attribute(0x00080060, "modality", "CS", "SERIES"),
    Attribute(0x00080070, "manufacturer", "LO", "SERIES"),
    Attribute(0x00080080, "institution_name", "LO", "SERIES"),
    Attribute(0x00081010, "station_name", "SH", "SERIES"),
    Attribute(0x0008103E, "series_description", "LO", "SERIES"),
    Attribute(0x00081040, "institutional_department_name", "LO", "SERIES"),
    Attribute(0x00081050, "performing_physicians_names", "PN", "SERIES", _MANY),
    Attribute(0x00081070, "operators_names", "PN", "SERIES", _MANY),
    Attribute(0x00081090, "manufacturer_model_name", "LO", "SERIES"),
    Attribute(0x00180015, "body_part_examined", "CS", "SERIES"),
    Attribute(0x00181030, "protocol_name", "LO", "SERIES"),
    Attribute(0x00200011, "series_number", "IS", "SERIES"),
    Attribute(0x00200060, "laterality", "CS", "SERIES"),
    Attribute(0x00400244, "performed_step_start_date", "DA", "SERIES"),
    Attribute(0x00400245, "performed_step_start_time", "TM", "SERIES"),
    Attribute(0x00400253, "performed_step_id", "SH", "SERIES"),
    Attribute(0x00400254, "performed_step_description", "LO", "SERIES"),
    Attribute(0x00400275, "request_attributes_sequence", "SQ", "SERIES"),
    Attribute(0x00080008, "image_type", "CS", "IMAGE", _MANY),
    Attribute(0x00080022, "acquisition_date", "DA", "IMAGE"),
    Attribute(0x00080023, "content_date", "DA", "IMAGE"),
    Attribute(0x0008002A, "acquisition_date_time", "DT", "IMAGE"),
    Attribute(0x00080032, "acquisition_time", "TM", "IMAGE"),
    Attribute(0x00080033, "content_time", "TM", "IMAGE"),
    Attribute(0x00200012, "acquisition_number", "IS", "IMAGE"),
    Attribute(0x00200013, "instance_number", "IS", "IMAGE"),
    Attribute(0x00204000, "image_comments", "LT", "IMAGE"),
    Attribute(0x00280008, "number_of_frames", "IS", "IMAGE"),
    Attribute(0x00280010, "rows", "US", "IMAGE"),
    Attribute(0x00280011, "columns", "US", "IMAGE"),
    Attribute(0x00280100, "bits_allocated", "US", "IMAGE"),
    Attribute(0x0040A043, "concept_name_code_sequence", "SQ", "IMAGE"),
)
"""What is read from data sets and kept in columns."""

OF_INSTANCE: Final = (
    Attribute(0x00080016, "sop_class_uid", "UI", "IMAGE"),
    Attribute(0x00080018, "sop_instance_uid", "UI", "IMAGE"),
    Attribute(0x00083002, "transfer_syntax_uid", "UI", "IMAGE"),
)
"""What the index knows of every instance without looking into its data set; the last is Available Transfer
Syntax UID."""

COUNTED: Final = (
    Attribute(0x00080061, "modalities_in_study", "CS", "STUDY", _MANY, counted=True),
    Attribute(0x00080062, "sop_classes_in_study", "UI", "STUDY", _MANY, counted=True),
    Attribute(0x00201200, "studies_of_patient", "IS", "PATIENT", counted=True),
    Attribute(0x00201202, "series_of_patient", "IS", "PATIENT", counted=True),
    Attribute(0x00201204, "instances_of_patient", "IS", "PATIENT", counted=True),
    Attribute(0x00201206, "series_of_study", "IS", "STUDY", counted=True),
    Attribute(0x00201208, "instances_of_study", "IS", "STUDY", counted=True),
    Attribute(0x00201209, "instances_of_series", "IS", "SERIES", counted=True),
)
"""What is worked out: modalities and SOP classes of a study, and how much there is of what."""

BY_TAG: Final = {attribute.tag: attribute for attribute in (*ATTRIBUTES, *OF_INSTANCE, *COUNTED)}
BY_NAME: Final = {attribute.name: attribute for attribute in BY_TAG.values()}

UNIQUE_KEYS: Final[dict[Level, Attribute]] = {
    "PATIENT": BY_NAME["patient_id"],
    "STUDY": BY_NAME["study_instance_uid"],
    "SERIES": BY_NAME["series_instance_uid"],
    "IMAGE": BY_NAME["sop_instance_uid"],
}

ITEM_ATTRIBUTES: Final[dict[int, str]] = {
    0x00080050: "SH",  # Accession Number
    0x00080100: "SH",  # Code Value
    0x00080102: "SH",  # Coding Scheme Designator
    0x00080103: "SH",  # Coding Scheme Version
    0x00080104: "LO",  # Code Meaning
    0x00100020: "LO",  # Patient ID
    0x00100021: "LO",  # Issuer of Patient ID
    0x00100022: "CS",  # Type of Patient ID
    0x0020000D: "UI",  # Study Instance UID
    0x00321060: "LO",  # Requested Procedure Description
    0x00400007: "LO",  # Scheduled Procedure Step Description
    0x00400009: "SH",  # Scheduled Procedure Step ID
    0x00401001: "SH",  # Requested Procedure ID
    0x00401002: "LO",  # Reason for the Requested Procedure
}
"""What is kept of the items of sequences, with their value representations."""


def of_level(level: Level) -> tuple[Attribute, ...]:
    """Return what is read from data sets for a level."""
    return tuple(attribute for attribute in ATTRIBUTES if attribute.level == level)
