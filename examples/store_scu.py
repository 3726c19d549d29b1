"""Send DICOM files, each in the transfer syntax that it is stored in."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pydicom.filereader import read_file_meta_info

from dulcimer import AE, build_context


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--aet", default="ANY-SCP", help="AE title of the peer")
    options = parser.parse_args()

    needed = set()
    for path in options.files:
        meta = read_file_meta_info(path)
        needed.add((meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID))
    # A context for each pair: with several syntaxes in one, the peer would choose among them.
    contexts = [build_context(sop_class, syntax) for sop_class, syntax in sorted(needed)]

    failed = 0
    with AE("STORESCU").associate(options.host, options.port, contexts, ae_title=options.aet) as assoc:
        if not assoc.is_established:
            sys.exit(str(assoc.failure))
        for path in options.files:
            try:
                status = assoc.send_c_store(path)  # streamed from the file, never decoded
            except ValueError as error:  # no presentation context
                print(f"{path}: {error}")
                failed += 1
                continue
            if "Status" not in status:
                sys.exit(f"{path}: {assoc.failure}")
            print(f"{path}: {status.Status:04X} {status.get('ErrorComment', '')}".rstrip())
            failed += status.Status != 0x0000
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
