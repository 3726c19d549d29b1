"""What a sender may leave to us: attributes that have to be there and may be empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydicom.datadict import dictionary_VR

from dulcimer.services.rules.tables import Demand, Row

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def complete(dataset: Dataset, rows: Mapping[int, Row]) -> None:
    """Add the type 2 attributes that are missing, without a value, also in the items of its sequences.

    Parameters
    ----------
    dataset
        What is sent; it is changed.
    rows
        The rows of its table, see :func:`~dulcimer.services.rules.tables.table_for`.
    """
    for tag, row in rows.items():
        if tag not in dataset:
            if row.scu.demand is Demand.PRESENCE and not row.scu.conditional:
                dataset.add_new(tag, dictionary_VR(tag).split(" ")[0], None)
        elif row.rows and dataset[tag].VR == "SQ":
            for item in dataset[tag].value:
                complete(item, row.rows)
