"""Constants that several public modules share."""

from __future__ import annotations

from typing import Final

from pydicom.uid import UID, UID_dictionary

from dulcimer.services.statuses import CANCEL, FAILURE, PENDING, SUCCESS, UNKNOWN, WARNING

__all__ = [
    "ALL_TRANSFER_SYNTAXES",
    "APPLICATION_CONTEXT_NAME",
    "DEFAULT_MAX_LENGTH",
    "DEFAULT_TRANSFER_SYNTAXES",
    "MODE_ACCEPTOR",
    "MODE_REQUESTOR",
    "STATUS_CANCEL",
    "STATUS_FAILURE",
    "STATUS_PENDING",
    "STATUS_SUCCESS",
    "STATUS_UNKNOWN",
    "STATUS_WARNING",
    "UID",
    "OptionalUIDType",
]

OptionalUIDType = str | bytes | UID | None

# Transfer syntaxes that are newer than the dictionary of the pydicom versions we support: without an entry
# pydicom takes them for unknown UIDs and cannot tell how a data set in them is encoded.
for _uid, _name in (
    ("1.2.840.10008.1.2.4.110", "JPEG XL Lossless"),
    ("1.2.840.10008.1.2.4.111", "JPEG XL JPEG Recompression"),
    ("1.2.840.10008.1.2.4.112", "JPEG XL"),
    ("1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression"),
):
    UID_dictionary.setdefault(_uid, (_name, "Transfer Syntax", "", "", _name.replace(" ", "")))
del _uid, _name

DEFAULT_MAX_LENGTH: Final = 16382
"""Maximum PDU length that is proposed unless another is chosen."""

APPLICATION_CONTEXT_NAME: Final = UID("1.2.840.10008.3.1.1.1")
"""The DICOM application context (PS3.7 A.2.1)."""

MODE_REQUESTOR: Final = "requestor"
MODE_ACCEPTOR: Final = "acceptor"

STATUS_SUCCESS: Final = SUCCESS
STATUS_FAILURE: Final = FAILURE
STATUS_WARNING: Final = WARNING
STATUS_CANCEL: Final = CANCEL
STATUS_PENDING: Final = PENDING
STATUS_UNKNOWN: Final = UNKNOWN

ALL_TRANSFER_SYNTAXES: Final[list[UID]] = [
    UID("1.2.840.10008.1.2"),  # Implicit VR Little Endian
    UID("1.2.840.10008.1.2.1"),  # Explicit VR Little Endian
    UID("1.2.840.10008.1.2.1.99"),  # Deflated Explicit VR Little Endian
    UID("1.2.840.10008.1.2.2"),  # Explicit VR Big Endian
    UID("1.2.840.10008.1.2.4.50"),  # JPEG Baseline (Process 1)
    UID("1.2.840.10008.1.2.4.51"),  # JPEG Extended (Process 2 and 4)
    UID("1.2.840.10008.1.2.4.57"),  # JPEG Lossless, Non-Hierarchical (Process 14)
    UID(
        "1.2.840.10008.1.2.4.70"
    ),  # JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])
    UID("1.2.840.10008.1.2.4.80"),  # JPEG-LS Lossless Image Compression
    UID("1.2.840.10008.1.2.4.81"),  # JPEG-LS Lossy (Near-Lossless) Image Compression
    UID("1.2.840.10008.1.2.4.90"),  # JPEG 2000 Image Compression (Lossless Only)
    UID("1.2.840.10008.1.2.4.91"),  # JPEG 2000 Image Compression
    UID("1.2.840.10008.1.2.4.92"),  # JPEG 2000 Part 2 Multi-component Image Compression (Lossless Only)
    UID("1.2.840.10008.1.2.4.93"),  # JPEG 2000 Part 2 Multi-component Image Compression
    UID("1.2.840.10008.1.2.4.94"),  # JPIP Referenced
    UID("1.2.840.10008.1.2.4.95"),  # JPIP Referenced Deflate
    UID("1.2.840.10008.1.2.4.100"),  # MPEG2 Main Profile / Main Level
    UID("1.2.840.10008.1.2.4.100.1"),  # Fragmentable MPEG2 Main Profile / Main Level
    UID("1.2.840.10008.1.2.4.101"),  # MPEG2 Main Profile / High Level
    UID("1.2.840.10008.1.2.4.101.1"),  # Fragmentable MPEG2 Main Profile / High Level
    UID("1.2.840.10008.1.2.4.102"),  # MPEG-4 AVC/H.264 High Profile / Level 4.1
    UID("1.2.840.10008.1.2.4.102.1"),  # Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1
    UID("1.2.840.10008.1.2.4.103"),  # MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1
    UID("1.2.840.10008.1.2.4.103.1"),  # Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1
    UID("1.2.840.10008.1.2.4.104"),  # MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video
    UID("1.2.840.10008.1.2.4.104.1"),  # Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video
    UID("1.2.840.10008.1.2.4.105"),  # MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video
    UID("1.2.840.10008.1.2.4.105.1"),  # Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video
    UID("1.2.840.10008.1.2.4.106"),  # MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2
    UID("1.2.840.10008.1.2.4.106.1"),  # Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2
    UID("1.2.840.10008.1.2.4.107"),  # HEVC/H.265 Main Profile / Level 5.1
    UID("1.2.840.10008.1.2.4.108"),  # HEVC/H.265 Main 10 Profile / Level 5.1
    UID("1.2.840.10008.1.2.4.110"),  # JPEG XL Lossless
    UID("1.2.840.10008.1.2.4.111"),  # JPEG XL JPEG Recompression
    UID("1.2.840.10008.1.2.4.112"),  # JPEG XL
    UID("1.2.840.10008.1.2.4.201"),  # High-Throughput JPEG 2000 Image Compression (Lossless Only)
    UID(
        "1.2.840.10008.1.2.4.202"
    ),  # High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)
    UID("1.2.840.10008.1.2.4.203"),  # High-Throughput JPEG 2000 Image Compression
    UID("1.2.840.10008.1.2.4.204"),  # JPIP HTJ2K Referenced
    UID("1.2.840.10008.1.2.4.205"),  # JPIP HTJ2K Referenced Deflate
    UID("1.2.840.10008.1.2.5"),  # RLE Lossless
    UID("1.2.840.10008.1.2.7.1"),  # SMPTE ST 2110-20 Uncompressed Progressive Active Video
    UID("1.2.840.10008.1.2.7.2"),  # SMPTE ST 2110-20 Uncompressed Interlaced Active Video
    UID("1.2.840.10008.1.2.7.3"),  # SMPTE ST 2110-30 PCM Digital Audio
    UID("1.2.840.10008.1.2.8.1"),  # Deflated Image Frame Compression
]
"""Every transfer syntax that PS3.5 and PS3.6 define and that is not retired."""

DEFAULT_TRANSFER_SYNTAXES: Final[list[UID]] = ALL_TRANSFER_SYNTAXES[:4]
"""What a presentation context proposes unless others are chosen: the uncompressed ones and Deflated."""
