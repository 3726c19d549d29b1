"""Be a printer whose films are pictures in a folder: python printer_scp.py PORT FOLDER"""

import sys

from dulcimer import AE
from dulcimer.printing.folder import FilmFolder
from dulcimer.scp.print_management import PrintService
from dulcimer.scp.service import Services
from dulcimer.services.printer import Printer

port, folder = int(sys.argv[1]), sys.argv[2]
printer = Printer(name="Example", resolution=150, film_sizes=("8INX10IN", "14INX17IN"))
service = PrintService(FilmFolder(folder, printer), printer)
service.on("job", lambda uid, job: print(f"{job.Originator}: {job.ExecutionStatus}", flush=True))

services = Services([service])
ae = AE("PRINTER")
services.add_to(ae)
ae.start_server(("127.0.0.1", port), evt_handlers=services.handlers())
