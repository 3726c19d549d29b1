"""Ask what a bar code on a vial stands for: python substance_administration_scu.py HOST PORT CODE."""

import sys

from pydicom import Dataset

from dulcimer import AE, build_context
from dulcimer.sop_class import ProductCharacteristicsQuery as Query

host, port, code = sys.argv[1], int(sys.argv[2]), sys.argv[3]

query = Dataset()
query.ProductPackageIdentifier = code
query.ProductName = ""
query.ProductExpirationDateTime = ""

with AE("INJECTOR").associate(host, port, [build_context(Query)]) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    for status, product in assoc.send_c_find(query, Query):
        if not status:
            sys.exit(str(assoc.failure))
        if status.Status in (0xFF00, 0xFF01):
            print(f"{product.ProductName}, use before {product.ProductExpirationDateTime}")
        else:
            print(f"C-FIND: {status.Status:04X}")
