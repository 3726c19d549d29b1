"""Send all objects of a CD or another DICOM file set: python media_storage_send.py HOST PORT DICOMDIR."""

import sys

from pydicom.filereader import read_file_meta_info
from pydicom.fileset import FileSet

from dulcimer import AE, build_context

host, port, directory = sys.argv[1], int(sys.argv[2]), sys.argv[3]

paths = [instance.path for instance in FileSet(directory)]
metas = [read_file_meta_info(path) for path in paths]
needed = {(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID) for meta in metas}
contexts = [build_context(sop_class, syntax) for sop_class, syntax in sorted(needed)]

with AE("CDIMPORT").associate(host, port, contexts) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    stored = 0
    for path in paths:
        status = assoc.send_c_store(path)
        if not status:
            sys.exit(str(assoc.failure))
        stored += status.Status == 0x0000
print(f"{stored} of {len(paths)} objects stored")
