"""Tell what products are: python substance_administration_scp.py PORT."""

import sys
from collections.abc import Iterator

from pydicom import Dataset

from dulcimer import AE, evt
from dulcimer.sop_class import ProductCharacteristicsQuery

contrast = Dataset()
contrast.ProductPackageIdentifier = "4011200296908"
contrast.ProductName = "Contrast agent 300"
contrast.ProductExpirationDateTime = "20270630"
pharmacy = [contrast]


def handle_find(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
    for product in pharmacy:
        if product.ProductPackageIdentifier == event.identifier.get("ProductPackageIdentifier"):
            yield 0xFF00, product


ae = AE("PHARMACY")
ae.add_supported_context(ProductCharacteristicsQuery)
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_C_FIND, handle_find)])
