"""Bytes that real peers put on the wire, and what they mean.

Both files were recorded between DCMTK and pynetdicom programs; the values are what an independent decoder
(pynetdicom's for PDUs, pydicom's for command sets) makes of the bytes. ``canonical`` says whether we would
send the very same bytes: some peers set reserved bytes or order items differently.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dulcimer.protocol.dimse import commands
from dulcimer.protocol.wire import codec, pdus

HERE = Path(__file__).parent
CONTROL_PDUS: list[dict[str, Any]] = json.loads((HERE / "control_pdus.json").read_text())
COMMAND_SETS: list[dict[str, Any]] = json.loads((HERE / "command_sets.json").read_text())


def name_of(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def user_information(value: dict[str, Any]) -> pdus.UserInformation:
    window, identity, response = (
        value.get("async_operations"),
        value.get("user_identity"),
        value.get("identity_response"),
    )
    return pdus.UserInformation(
        max_length=value["max_length"],
        implementation_class_uid=value["implementation_class_uid"],
        implementation_version_name=value["implementation_version_name"],
        async_operations=pdus.AsyncOperations(**window) if window else None,
        roles=tuple(pdus.RoleSelection(**role) for role in value.get("roles", ())),
        extended=tuple(
            pdus.ExtendedNegotiation(item["sop_class"], bytes.fromhex(item["information"]))
            for item in value.get("extended", ())
        ),
        common_extended=tuple(
            pdus.CommonExtendedNegotiation(
                item["sop_class"], item["service_class"], tuple(item["related"]), item["version"]
            )
            for item in value.get("common_extended", ())
        ),
        user_identity=pdus.UserIdentity(
            identity["type"],
            bytes.fromhex(identity["primary"]),
            bytes.fromhex(identity["secondary"]),
            identity["response_requested"],
        )
        if identity
        else None,
        identity_response=None if response is None else bytes.fromhex(response),
    )


def control_pdu(kind: str, value: dict[str, Any]) -> pdus.ControlPDU:
    match kind:
        case "AssociateRQ":
            return pdus.AssociateRQ(
                **{
                    **value,
                    "contexts": tuple(
                        pdus.ProposedContext(
                            item["id"], item["abstract_syntax"], tuple(item["transfer_syntaxes"])
                        )
                        for item in value["contexts"]
                    ),
                    "user": user_information(value["user"]),
                }
            )
        case "AssociateAC":
            return pdus.AssociateAC(
                **{
                    **value,
                    "contexts": tuple(pdus.ContextResult(**item) for item in value["contexts"]),
                    "user": user_information(value["user"]),
                }
            )
        case "AssociateRJ":
            return pdus.AssociateRJ(**value)
        case "ReleaseRQ":
            return pdus.ReleaseRQ()
        case "ReleaseRP":
            return pdus.ReleaseRP()
        case _:
            assert kind == "Abort"
            return pdus.Abort(**value)


def command_set(value: dict[str, Any]) -> dict[int, commands.Value]:
    return {
        int(number, 16): tuple(item) if isinstance(item, list) else item for number, item in value.items()
    }


def test_every_kind_of_control_pdu_was_recorded() -> None:
    assert {vector["kind"] for vector in CONTROL_PDUS} == {kind.__name__ for kind in pdus.ControlPDU.__args__}


@pytest.mark.parametrize("vector", CONTROL_PDUS, ids=name_of)
def test_control_pdu_decodes_to_what_it_means(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    assert codec.decode(data[0], data[6:]) == control_pdu(vector["kind"], vector["value"])


@pytest.mark.parametrize("vector", CONTROL_PDUS, ids=name_of)
def test_control_pdu_encodes_to_the_same_meaning(vector: dict[str, Any]) -> None:
    pdu = control_pdu(vector["kind"], vector["value"])
    data = codec.encode(pdu)
    assert codec.decode(data[0], data[6:]) == pdu
    assert len(data) == len(vector["hex"]) // 2
    if vector["canonical"]:
        assert data.hex() == vector["hex"]


@pytest.mark.parametrize("vector", COMMAND_SETS, ids=name_of)
def test_command_set_is_the_same_both_ways(vector: dict[str, Any]) -> None:
    value = command_set(vector["value"])
    assert commands.decode(bytes.fromhex(vector["hex"])) == value
    assert commands.encode(value).hex() == vector["hex"]
