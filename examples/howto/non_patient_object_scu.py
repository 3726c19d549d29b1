"""Store a colour palette at a peer: python non_patient_object_scu.py HOST PORT SOP_INSTANCE_UID."""

import sys

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dulcimer import AE, build_context
from dulcimer.sop_class import ColorPaletteStorage

host, port, uid = sys.argv[1], int(sys.argv[2]), sys.argv[3]

palette = Dataset()
palette.SOPClassUID = ColorPaletteStorage
palette.SOPInstanceUID = uid
palette.ContentLabel = "HEAT"
palette.ContentDescription = "Black to red to white"
palette.ContentCreatorName = "Doe^Jane"
for colour in ("Red", "Green", "Blue"):
    setattr(palette, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 8])
    setattr(palette, f"{colour}PaletteColorLookupTableData", bytes(range(256)))
palette.file_meta = FileMetaDataset()
palette.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian

with AE("WORKSTATION").associate(host, port, [build_context(ColorPaletteStorage)]) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    status = assoc.send_c_store(palette)
    if not status:
        sys.exit(str(assoc.failure))
print(f"C-STORE: {status.Status:04X}")
