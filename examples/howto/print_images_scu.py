"""Print images, four on a film: python print_images_scu.py HOST PORT FILE…"""

import sys

from dulcimer import AE
from dulcimer.scu.print_management import PrintSession, contexts

host, port, *files = sys.argv[1:]
ae = AE("CONSOLE")
with ae.associate(host, int(port), contexts(color=False), ae_title="PRINTER") as association:
    if not association.is_established:
        sys.exit(str(association.failure))
    with PrintSession(association, copies=1, label="Example") as session:
        jobs = session.print_images(files, layout="STANDARD\\2,2", film_size="8INX10IN", trim=True)
        for job in jobs:
            job.wait(60)
            print(f"a film is {job.status}")
    for warning in session.warnings:
        print(f"warning {warning}")
