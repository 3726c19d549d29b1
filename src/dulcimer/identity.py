"""Who we are on the wire: implementation class UID, version name and UID root (PS3.7 D.3.3.2)."""

from typing import Final

__version__: Final = "0.1.0"

IMPLEMENTATION_UID: Final = "2.25.242609509273506154207405018254932059583"
"""Implementation Class UID, derived from a UUID (PS3.5 B.2)."""

IMPLEMENTATION_VERSION: Final = f"DULCIMER_{__version__}"
"""Implementation Version Name, at most 16 characters."""

UID_PREFIX: Final = f"{IMPLEMENTATION_UID}."
"""Root for the UIDs that programs make with :func:`pydicom.uid.generate_uid`."""
