"""The Standard's attribute tables as rules: what a data set of a DIMSE-N operation must and may hold.

:func:`check` compares a data set with the table of its operation and returns :class:`Findings`, which say in
words what is wrong and know the status that a peer is answered. They are pure functions: no network, no
database, and no argument is changed.
"""

from dulcimer.services.rules.checking import check
from dulcimer.services.rules.findings import Finding, Findings, Kind, Level

__all__ = ["Finding", "Findings", "Kind", "Level", "check"]
