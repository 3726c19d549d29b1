"""Optical density and how it looks (PS3.14).

A film in front of a light box shows the luminance La + L0·10^-D. The grey of a rendered film is the perceived
brightness of that, in just noticeable differences of the Grayscale Standard Display Function, between the
darkest and the lightest that the printer can print: on a calibrated display the picture looks as the film
does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# PS3.14 7.1: the index of a luminance, as a polynomial of its decimal logarithm.
_COEFFICIENTS: Final = (
    71.498068,
    94.593053,
    41.912053,
    9.8247004,
    0.28175407,
    -1.1878455,
    -0.18014349,
    0.14710899,
    -0.017046845,
)
_LEAST: Final = 0.05
_MOST: Final = 4000.0
"""The luminances in cd/m² for which the function is defined."""


@dataclass(frozen=True, slots=True)
class Viewing:
    """How the films of a printer are looked at.

    Attributes
    ----------
    least, most
        The densities that the printer can print, in hundredths of OD.
    illumination
        Luminance of the light box, in cd/m².
    reflected
        Luminance of the ambient light that the film reflects, in cd/m².
    """

    least: int
    most: int
    illumination: float
    reflected: float

    def grey(self, density: float | NDArray[Any]) -> NDArray[np.float64]:
        """Return the grey of densities in hundredths of OD, 0 for the darkest and 1 for the lightest."""
        dark, light = self._index(self.most), self._index(self.least)
        found = (self._index(density) - dark) / max(float(light - dark), 1e-9)
        return np.clip(found, 0.0, 1.0)

    def named(self, density: str) -> float:
        """Return the grey of Border Density or Empty Image Density: BLACK, WHITE or hundredths of OD."""
        known = {"BLACK": self.most, "WHITE": self.least}
        return float(self.grey(known.get(density) if density in known else float(density)))  # type: ignore[arg-type]

    def _index(self, density: float | NDArray[Any]) -> NDArray[np.float64]:
        transmitted = self.illumination * 10.0 ** (-np.asarray(density, dtype=np.float64) / 100)
        return just_noticeable(self.reflected + transmitted)


def just_noticeable(luminance: float | NDArray[Any]) -> NDArray[np.float64]:
    """Return the index of luminances in cd/m² on the Grayscale Standard Display Function (PS3.14 7.1)."""
    logarithm = np.log10(np.clip(luminance, _LEAST, _MOST))
    return np.polynomial.polynomial.polyval(logarithm, _COEFFICIENTS)  # type: ignore[no-any-return]


def table(
    bits: int,
    viewing: Viewing,
    densities: tuple[int, int],
    *,
    inverse: bool = False,
    shape: str = "IDENTITY",
    lut: Sequence[int] | None = None,
    lut_bits: int = 16,
) -> NDArray[np.float64]:
    """Return the grey of every pixel value, 0 to 1.

    Parameters
    ----------
    bits
        Bits of a pixel value.
    viewing
        How the film is looked at.
    densities
        Min Density and Max Density for the image, in hundredths of OD.
    inverse
        Whether the lowest value is white: MONOCHROME1 or, not and, Polarity REVERSE.
    shape
        Presentation LUT Shape: ``IDENTITY``, values are P-Values; ``LIN OD``, they are linear in optical
        density, so that higher ones are darker (PS3.3 C.11.4).
    lut, lut_bits
        The entries of a Presentation LUT that gives P-Values, and their bits. If it has another number of
        entries than there are pixel values, the nearest is taken.
    """
    values = np.linspace(0.0, 1.0, 1 << bits)
    if inverse:
        values = values[::-1]
    low, high = densities
    if lut is not None and len(lut):
        entries = np.asarray(lut, dtype=np.float64)
        at = np.rint(values * (len(entries) - 1)).astype(np.intp)
        values = np.clip(entries[at] / ((1 << lut_bits) - 1), 0.0, 1.0)
    elif shape == "LIN OD":
        return viewing.grey(low + values * (high - low))
    darkest, lightest = float(viewing.grey(high)), float(viewing.grey(low))
    # P-Values are equally far from each other to the eye (PS3.14), and so are greys.
    return darkest + values * (lightest - darkest)
