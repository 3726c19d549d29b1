"""The objects that are sent, and the proof that all of them arrived."""

from __future__ import annotations

import hashlib
import os
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from bench.model import BenchError

KILO = 1024
MEGA = 1024 * KILO
_CHUNK = MEGA
_PIXEL_DATA = b"\xe0\x7f\x10\x00OW\x00\x00"
_PREAMBLE = 132


@dataclass(frozen=True)
class Objects:
    """A folder of Part 10 files, and the digests of their data sets."""

    folder: Path
    digests: Counter[str]

    @property
    def count(self) -> int:
        """Return how many files there are."""
        return self.digests.total()

    def verify(self, received: Path, who: str, *, besides: int = 0) -> None:
        """Raise unless the files below ``received`` hold the same data sets, and ``besides`` others."""
        found = Counter(digest(path) for path in received.rglob("*") if is_part10(path))
        if missing := self.digests - found:
            raise BenchError(f"{who} lost or changed {missing.total()} of {self.count} objects")
        if (extra := (found - self.digests).total()) != besides:
            raise BenchError(f"{who} stored {extra} objects that were not sent, {besides} expected")


def make(folder: Path, count: int, size: int, *, zeros: bool = False) -> Objects:
    """Write ``count`` CT images of about ``size`` bytes each; with ``zeros`` as a sparse file."""
    folder.mkdir(parents=True)
    source = random.Random(size * count)
    block = b"" if zeros else source.randbytes(min(size, _CHUNK))
    study, series = generate_uid(), generate_uid()
    digests: Counter[str] = Counter()
    for number in range(count):
        path = folder / f"{number:05}.dcm"
        dataset = _image(number, study, series)
        dataset.save_as(path, enforce_file_format=True)
        with path.open("ab") as file:
            file.write(_PIXEL_DATA + size.to_bytes(4, "little"))
            if zeros:
                file.truncate(file.tell() + size)
            else:
                # What tells one object from another is its UIDs: the pixels may repeat.
                for start in range(0, size, len(block)):
                    file.write(block[: size - start])
        digests[digest(path)] += 1
    os.sync()  # or writing them back would go on while something is measured
    return Objects(folder, digests)


def _image(number: int, study: str, series: str) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyDate = "20240229"
    dataset.StudyTime = "120000"
    dataset.AccessionNumber = "A1"
    dataset.Modality = "CT"
    dataset.PatientName = "Bench^Mark"
    dataset.PatientID = "BENCH"
    dataset.PatientBirthDate = "19700101"
    dataset.PatientSex = "O"
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = series
    dataset.StudyID = "1"
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = number + 1
    dataset.ImagePositionPatient = [0, 0, number]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = 64
    dataset.Columns = 64
    dataset.PixelSpacing = [0.5, 0.5]
    dataset.BitsAllocated = 16
    dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def is_part10(path: Path) -> bool:
    """Return whether a path names a DICOM file, by its magic word."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(_PREAMBLE)[128:] == b"DICM"


def digest(path: Path) -> str:
    """Return the digest of a file's data set: what follows the file meta information (PS3.10 7.1)."""
    total = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as file:
        head = file.read(_PREAMBLE + 12)
        if head[128:136] != b"DICM\x02\x00\x00\x00":
            raise BenchError(f"{path.name} is not a DICOM file")
        file.seek(int.from_bytes(head[140:144], "little"), 1)
        while chunk := file.read(_CHUNK):
            total.update(chunk)
    return total.hexdigest()


def emptied(folder: Path) -> Path:
    """Return the folder, there and with nothing in it."""
    if folder.exists():
        put_aside(folder)
    folder.mkdir(parents=True)
    return folder


def put_aside(folder: Path) -> None:
    """Have a folder out of the way without deleting its files; they are emptied.

    ext4 does not use the inode of a deleted file again for a few minutes, and looks at every such inode
    whenever it makes a file: after some thousands that takes ten times as long. Each contestant would pay for
    what was tidied up after those before it, and more in every round.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            os.truncate(path, 0)
    aside = folder.parent / "aside"
    aside.mkdir(exist_ok=True)
    folder.rename(aside / f"{folder.name}-{len(list(aside.iterdir()))}")
