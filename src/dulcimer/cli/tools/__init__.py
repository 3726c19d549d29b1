"""Tools that take the command lines of those that users of DICOM toolkits know by the same names.

Their options are read with :mod:`argparse`, whose grammar is the one of those command lines: long options
with one dash (``-aet``), ``-x=``, ``-kPatientID=1``, groups of which one may be given.
"""
