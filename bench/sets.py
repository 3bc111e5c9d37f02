"""Two small sets of pictures for ``zoo.py``: letters of a folder of fonts, and crops of well-known sample photographs.

    python bench/sets.py letters -o letters.npz --fonts FOLDER   28x28, grey: A to J of each typeface, alike ones once
    python bench/sets.py photographs -o photos.npz               32x32: crops of skimage's and scikit-learn's samples

Both have labels, and are the same wherever the fonts and the versions of these packages are.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_images

LETTERS = "ABCDEFGHIJ"
ALIKE = 6.0  # square distance of two pictures in [0, 1] below which one is left out
CROPS = 12_000


def letter(face: ImageFont.FreeTypeFont, character: str) -> np.ndarray | None:
    """One letter in the middle of 28x28, None where the face has none."""
    image = Image.new("L", (120, 120))
    ImageDraw.Draw(image).text((60, 60), character, fill=255, font=face, anchor="mm")
    box = image.getbbox()
    if box is None or max(box[2] - box[0], box[3] - box[1]) < 8:
        return None
    cut = image.crop(box)
    side = max(cut.size)
    square = Image.new("L", (side, side))
    square.paste(cut, ((side - cut.width) // 2, (side - cut.height) // 2))
    whole = Image.new("L", (28, 28))
    whole.paste(square.resize((24, 24), Image.Resampling.LANCZOS), (2, 2))
    return np.asarray(whole)


def letters(fonts: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and labels; faces without letters, with the same ones as another or of symbols are left out."""
    found, labels, seen = list[np.ndarray](), list[int](), set[bytes]()
    for path in sorted(path for path in fonts.rglob("*") if path.suffix in (".ttf", ".otf")):
        try:
            face = ImageFont.truetype(str(path), 64)
            missing = letter(face, "\uffff")
            own = [letter(face, character) for character in LETTERS]
        except (OSError, ValueError):  # no font
            continue
        whole = [one for one in own if one is not None and (missing is None or not (one == missing).all())]
        digest = hashlib.sha256(b"".join(one.tobytes() for one in whole)).digest()
        if len(whole) < len(LETTERS) or len({one.tobytes() for one in whole}) < len(LETTERS) - 1 or digest in seen:
            continue
        seen.add(digest)
        found += whole
        labels += range(len(LETTERS))
    order = np.random.default_rng(0).permutation(len(found))
    pictures, classes = np.stack(found)[order], np.array(labels)[order]
    kept = np.ones(len(pictures), np.bool_)
    for kind in range(len(LETTERS)):
        places = np.flatnonzero(classes == kind)
        rows = pictures[places].reshape(len(places), -1).astype(np.float32) / 255
        lengths = (rows * rows).sum(1)
        apart = lengths[:, None] + lengths[None] - 2 * rows @ rows.T
        for place in range(len(places)):
            if kept[places[place]]:
                near = np.flatnonzero(apart[place] < ALIKE)
                kept[places[near[near > place]]] = False
    return pictures[kept], classes[kept]


def photographs() -> tuple[np.ndarray, np.ndarray]:
    """Crops of six photographs at many scales, half of them mirrored, and which photograph each is of."""
    names = ("astronaut", "coffee", "chelsea", "rocket")
    photos = [*(getattr(skimage.data, name)() for name in names), *load_sample_images().images]
    random = np.random.default_rng(0)
    found, labels = list[np.ndarray](), list[int]()
    for place in range(CROPS):
        photo = photos[place % len(photos)][..., :3].astype(np.uint8)
        height, width = photo.shape[:2]
        side = int(np.exp(random.uniform(np.log(64), np.log(min(height, width) * 0.8))))
        top, left = random.integers(0, height - side + 1), random.integers(0, width - side + 1)
        if photo[top : top + side, left : left + side].std() < 15:  # hardly anything to see
            top, left = height - side, 0
        crop = Image.fromarray(photo[top : top + side, left : left + side]).resize((32, 32), Image.Resampling.LANCZOS)
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else crop
        found.append(np.asarray(crop))
        labels.append(place % len(photos))
    order = random.permutation(CROPS)
    return np.stack(found)[order], np.array(labels)[order]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=("letters", "photographs"))
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"))
    given = parser.parse_args()
    pictures, labels = letters(given.fonts) if given.which == "letters" else photographs()
    np.savez(given.out, images=pictures, labels=labels)
    print(f"{given.out}: {len(pictures):,} pictures of {pictures.shape[1]}x{pictures.shape[2]}")


if __name__ == "__main__":
    main()
