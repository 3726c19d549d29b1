"""The information models that can be queried and retrieved from, by the names that options have for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dulcimer.cli.exits import Exit, Stop

if TYPE_CHECKING:
    from argparse import Namespace

    from dulcimer.cli.tools.parser import Parser

_QR: Final = "QueryRetrieveInformationModel"
_WITH_ALL: Final = {
    "patient": f"PatientRoot{_QR}",
    "study": f"StudyRoot{_QR}",
    "psonly": f"PatientStudyOnly{_QR}",
    "color-palette": "ColorPaletteInformationModel",
    "hanging-protocol": "HangingProtocolInformationModel",
    "generic-implant-template": "GenericImplantTemplateInformationModel",
    "implant-assembly-template": "ImplantAssemblyTemplateInformationModel",
    "implant-template-group": "ImplantTemplateGroupInformationModel",
    "defined-procedure-protocol": "DefinedProcedureProtocolInformationModel",
    "protocol-approval": "ProtocolApprovalInformationModel",
    "inventory": "Inventory",
}
"""The beginnings of the names in :mod:`dulcimer.sop_class`, to which Find, Get or Move is added."""

MODELS: Final[dict[str, dict[str, str]]] = {
    "find": {
        **{name: f"{begin}Find" for name, begin in _WITH_ALL.items()},
        "worklist": "ModalityWorklistInformationFind",
        "ups": "UnifiedProcedureStepPull",
        "ups-watch": "UnifiedProcedureStepWatch",
        "ups-query": "UnifiedProcedureStepQuery",
        "relevant-patient": "GeneralRelevantPatientInformationQuery",
        "relevant-patient-breast": "BreastImagingRelevantPatientInformationQuery",
        "relevant-patient-cardiac": "CardiacRelevantPatientInformationQuery",
        "product-characteristics": "ProductCharacteristicsQuery",
        "substance-approval": "SubstanceApprovalQuery",
        "repository": "RepositoryQuery",
    },
    "get": {
        **{name: f"{begin}Get" for name, begin in _WITH_ALL.items()},
        "composite": "CompositeInstanceRootRetrieveGet",
        "without-bulk-data": "CompositeInstanceRetrieveWithoutBulkDataGet",
    },
    "move": {
        **{name: f"{begin}Move" for name, begin in _WITH_ALL.items()},
        "composite": "CompositeInstanceRootRetrieveMove",
    },
}
"""Names in :mod:`dulcimer.sop_class` by service and by our name."""

_LETTERS: Final = (
    ("-P", "--patient", "patient", "patient root (default)"),
    ("-S", "--study", "study", "study root"),
    ("-O", "--psonly", "psonly", "patient/study only"),
    ("-W", "--worklist", "worklist", "modality worklist"),
    ("-U", "--ups", "ups", "unified procedure steps"),
)


def model_options(parser: Parser, service: str) -> None:
    """Add the options that choose one."""
    names = MODELS[service]
    one = parser.add_argument_group("Information model options").add_mutually_exclusive_group()
    for letter, option, name, help in _LETTERS:
        if name in names:
            one.add_argument(letter, option, dest="model", action="store_const", const=name, help=help)
    one.add_argument("--model", metavar="NAME", help=f"any of {', '.join(names)}, or the UID of a SOP class")
    parser.set_defaults(model=None)


def model_of(args: Namespace, service: str) -> str:
    """Return the SOP class UID of the model that was chosen.

    Raises
    ------
    Stop
        If there is none of that name.
    """
    from dulcimer import sop_class

    name = args.model or "patient"
    keyword = MODELS[service].get(name.lower())
    if keyword is not None:
        return str(getattr(sop_class, keyword))
    if name.replace(".", "").isdigit():
        return str(name)
    raise Stop(Exit.USAGE, f"there is no information model {name!r}; there are {', '.join(MODELS[service])}")


def query_options(parser: Parser) -> Any:
    """Add the options that make a query; returns the group."""
    group = parser.add_argument_group("Query options")
    group.add_argument(
        "-k",
        "--keyword",
        "--key",
        dest="keys",
        action="append",
        metavar="KEY",
        help="an attribute of the query: PatientName=A*, (0010,0020)=1, "
        "ScheduledProcedureStepSequence[0].Modality=CT; may be repeated",
    )
    group.add_argument(
        "-f",
        "--file",
        metavar="FILE",
        help="take the query from a DICOM or DICOM JSON file; what -k says is added to it or replaces it",
    )
    return group


def query_of(args: Namespace) -> Any:
    """Return the data set that the options describe.

    Raises
    ------
    Stop
        If they describe none.
    """
    from dulcimer.cli.tools import keys

    if not args.keys and not args.file:
        raise Stop(Exit.USAGE, "what to ask for is missing: give -k or -f, or both")
    base = _from_file(args.file) if args.file else None
    try:
        query = keys.build(args.keys or (), base)
    except keys.KeyProblem as error:
        raise Stop(Exit.FAILED, f"-k {error}") from None
    if "SpecificCharacterSet" not in query and not str(query).isascii():
        query.SpecificCharacterSet = "ISO_IR 192"
    return query


def _from_file(path: str) -> Any:
    import json
    from pathlib import Path

    from pydicom import dcmread
    from pydicom.dataset import Dataset

    file = Path(path)
    try:
        if file.suffix.lower() == ".json":
            found = Dataset.from_json(json.loads(file.read_text("utf-8")))
        else:
            found = dcmread(file, force=True)
            # What cannot be decoded shows when it is looked at.
            len(list(found.iterall()))
    except OSError as error:
        raise Stop(Exit.FAILED, f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # whatever is made of a file that is none
        raise Stop(Exit.FAILED, f"{path} holds no data set: {error}") from None
    if not len(found):
        raise Stop(Exit.FAILED, f"{path} holds no data set")
    return found
