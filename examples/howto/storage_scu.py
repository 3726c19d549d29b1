"""Send DICOM files, each in its own transfer syntax: python storage_scu.py HOST PORT FILE..."""

import sys

from pydicom.filereader import read_file_meta_info

from dulcimer import AE, build_context

host, port, files = sys.argv[1], int(sys.argv[2]), sys.argv[3:]

# A context for each SOP class with each transfer syntax: of several syntaxes in one the peer would choose.
metas = [read_file_meta_info(path) for path in files]
needed = {(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID) for meta in metas}
contexts = [build_context(sop_class, syntax) for sop_class, syntax in sorted(needed)]

with AE("STORESCU").associate(host, port, contexts) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    for path in files:
        try:
            status = assoc.send_c_store(path)
        except ValueError as error:  # the peer does not take this SOP class or transfer syntax
            print(f"{path}: {error}")
            continue
        if not status:
            sys.exit(str(assoc.failure))
        print(f"{path}: {status.Status:04X}")
