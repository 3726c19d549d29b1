"""A DICOM node that works out of the box: what ``dulcimer serve`` runs.

Hexagonal: ``domain`` holds what is true without a network or a database (what is stored, when it counts, how
a performed procedure step moves) behind ports; ``adapters`` holds files, SQLite, DIMSE and logs; ``config``
turns options into one value; ``app`` puts the parts together and runs them.
"""
