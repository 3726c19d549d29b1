"""Change an attribute of a performed procedure step: python n_set_scu.py HOST PORT STEP_UID."""

import sys

from pydicom import Dataset

from dulcimer import AE, build_context
from dulcimer.sop_class import ModalityPerformedProcedureStep as MPPS

host, port, step_uid = sys.argv[1:]
change = Dataset()
change.PerformedProcedureStepDescription = "Chest, second attempt"

with AE("MODALITY").associate(host, int(port), [build_context(MPPS)]) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    status, attributes = assoc.send_n_set(change, MPPS, step_uid)
print(status)
