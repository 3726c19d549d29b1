"""Dulcimer side by side with DCMTK and pynetdicom: ``python -m bench``.

Everything runs on loopback, every server in a process of its own, the contestants of a row in turn (A B C
A B C ...), and what counts is the ratio of their medians within one run: absolute figures say more about
the machine than about the programs.
"""
