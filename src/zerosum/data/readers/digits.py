"""The built-in digits, there without a download."""

from __future__ import annotations

import csv
import gzip
import importlib.util
from pathlib import Path

import numpy as np

from zerosum.data.source import Source, from_array
from zerosum.errors import UserError

MARGIN = 2  # empty pixels around each 8x8 digit, which otherwise touches its frame


def digits() -> Source:
    """The 1,797 handwritten digits of scikit-learn's package (UCI Optical Recognition of Handwritten Digits, 8x8).

    They are read as a data file, without importing scikit-learn. The 17 grey levels are spread over 0..255.
    """
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise UserError("The digits come with scikit-learn, which is not installed: pip install scikit-learn.")
    path = Path(package.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    if not path.is_file():
        raise UserError(f"scikit-learn's digits are missing ({path}): reinstall it with pip install scikit-learn.")
    with gzip.open(path, "rt") as file:
        table = np.array([[int(float(cell)) for cell in row] for row in csv.reader(file)])
    pixels = np.rint(table[:, :64] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    pad = (MARGIN, MARGIN)
    return from_array("digits", np.pad(pixels, ((0, 0), pad, pad)), table[:, 64].astype(np.int64))
