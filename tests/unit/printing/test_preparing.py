"""Instances made ready for image boxes."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from dulcimer.printing.preparing import NotPrintable, images
from support.films import dataset
from support.real_files import shipped


def instance(values, bits: int = 16, signed: bool = False, **further) -> Dataset:
    array = np.asarray(values)
    made = dataset(
        SOPInstanceUID="1.2.3",
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=array.shape[-2],
        Columns=array.shape[-1],
        BitsAllocated=bits,
        BitsStored=bits,
        HighBit=bits - 1,
        PixelRepresentation=int(signed),
    )
    made.add_new(0x7FE00010, "OW", array.astype(f"<{'i' if signed else 'u'}{bits // 8}").tobytes())
    for keyword, value in further.items():
        setattr(made, keyword, value)
    return made


def levels(item: Dataset) -> list[int]:
    kind = "u1" if item.BitsAllocated == 8 else "<u2"
    return np.frombuffer(item.PixelData, kind)[: item.Rows * item.Columns].tolist()


def test_without_a_window_the_whole_range_is_used():
    (item,) = images([instance([[100, 200], [300, 355]])])
    assert levels(item) == [0, 100, 200, 255]
    assert (item.BitsStored, item.HighBit, item.PhotometricInterpretation) == (8, 7, "MONOCHROME2")


def test_rescale_and_window_of_the_instance():
    made = instance([[0, 1024], [1064, 2000]], RescaleSlope=1, RescaleIntercept=-1024)
    made.WindowCenter, made.WindowWidth = 40.5, 81
    (item,) = images([made], bits=12)
    assert levels(item)[0] == 0 and levels(item)[1] == 0
    assert levels(item)[2] == round(4095 * 40 / 80) and levels(item)[3] == 4095
    assert item.BitsAllocated == 16


@pytest.mark.parametrize(("function", "middle"), [("LINEAR_EXACT", 128), ("SIGMOID", 128), ("LINEAR", 129)])
def test_functions_of_a_window(function, middle):
    made = instance([[0, 100], [200, 200]], WindowCenter=100, WindowWidth=100, VOILUTFunction=function)
    (item,) = images([made])
    found = levels(item)
    assert found[1] == pytest.approx(middle, abs=1) and found[0] < 10 and found[2] > 245


def test_a_given_window_replaces_that_of_the_instance():
    made = instance([[0, 10], [20, 1000]], WindowCenter=500, WindowWidth=1000)
    (item,) = images([made], window=(10.5, 21))
    assert levels(item) == [0, 128, 255, 255]


def test_a_voi_lut():
    item = Dataset()
    item.LUTDescriptor = [3, 10, 8]
    item.LUTData = [0, 200, 255]
    made = instance([[0, 11], [12, 99]], VOILUTSequence=[item])
    (found,) = images([made])
    assert levels(found) == [0, 200, 255, 255]


def test_every_frame_is_an_image():
    made = instance([[[0, 255]], [[255, 0]]], bits=8, NumberOfFrames=2)
    assert [levels(item) for item in images([made])] == [[0, 255], [255, 0]]


def test_monochrome1_stays_and_inverse_shapes_are_inverted():
    made = instance([[0, 255]], bits=8, PhotometricInterpretation="MONOCHROME1")
    (item,) = images([made])
    assert item.PhotometricInterpretation == "MONOCHROME1" and levels(item) == [0, 255]
    made.PresentationLUTShape = "INVERSE"
    (item,) = images([made])
    assert levels(item) == [255, 0]


def test_signed_pixels():
    (item,) = images([instance([[-100, 0, 100, 100]], signed=True)])
    assert levels(item) == [0, 128, 255, 255]


def test_the_shape_of_pixels_is_kept():
    (item,) = images([instance([[0, 1]], PixelSpacing=[2.0, 1.0])])
    assert item.PixelAspectRatio == [20000, 10000]
    (item,) = images([instance([[0, 1]], PixelSpacing=[0.5, 0.5])])
    assert "PixelAspectRatio" not in item


def test_colours_and_greys():
    made = instance([[0, 0]], bits=8)
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "RGB", 0
    made.PixelData = bytes([255, 0, 0, 0, 0, 255])
    (item,) = images([made], color=True)
    assert item.PixelData == bytes([255, 0, 0, 0, 0, 255]) and item.PlanarConfiguration == 1
    (item,) = images([made])
    assert levels(item) == [76, 29]
    (item,) = images([instance([[0, 255]], bits=8)], color=True)
    assert item.SamplesPerPixel == 3 and item.PixelData == bytes([0, 255] * 3)


def test_what_is_ready_is_taken_as_it_is():
    (item,) = images([instance([[0, 255]], bits=8)])
    assert next(images([item])) is item


def test_what_cannot_be_printed_is_named(tmp_path):
    text = tmp_path / "note.txt"
    text.write_text("hello")
    with pytest.raises(NotPrintable, match=r"note\.txt"):
        list(images([text]))
    with pytest.raises(NotPrintable, match="cannot be read"):
        list(images([tmp_path / "none.dcm"]))
    compressed = instance([[0, 1]])
    compressed.file_meta = FileMetaDataset()
    compressed.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.999"
    with pytest.raises(NotPrintable, match="cannot be decoded"):
        list(images([compressed]))


def test_real_images_become_printable_or_are_named():
    """Of what pydicom ships every image is made ready, or refused with a reason."""
    ready = 0
    for path in shipped():
        try:
            for item in images([path]):
                ready += 1
                assert len(item.PixelData) in (item.Rows * item.Columns, item.Rows * item.Columns + 1)
        except NotPrintable as error:
            assert str(error)
    assert ready > 10
