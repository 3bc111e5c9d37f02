"""Archives of pictures: zip and tar, with the labels that folders or a ``dataset.json`` give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from zerosum.data.readers import labels, tars
from zerosum.data.readers.packed import Listing
from zerosum.data.readers.tars import open_tar
from zerosum.data.readers.zips import open_zip
from zerosum.data.source import Source, Unreadable
from zerosum.errors import UserError

SUFFIXES = (".zip", *tars.SUFFIXES)
LISTED = "dataset.json"  # StyleGAN's labels


def is_archive(path: Path) -> bool:
    """Whether a file's name ends like that of an archive which ``archive`` reads."""
    return path.name.lower().endswith(SUFFIXES)


def archive(path: Path) -> Source:
    """A zip or tar archive (also .tar.gz, .tar.xz, .tar.bz2) of pictures at any depth, read without unpacking it.

    The first folder that differs names the class, as in a folder of pictures (see ``labels.from_places``);
    StyleGAN's ``dataset.json`` goes before folders. Pictures are sorted by name, except in a packed tar: there they
    keep the archive's order, in which alone they can be read quickly.

    Raises:
        UserError: it is damaged, locked, or a trap; it has no pictures; its ``dataset.json`` does not fit.
    """
    in_order = path.name.lower().endswith((".zip", ".tar"))
    listing = (open_zip if path.name.lower().endswith(".zip") else open_tar)(path, _wanted)
    chosen = [index for index, name in enumerate(listing.names) if labels.is_picture(name)]
    if not chosen:
        raise UserError(
            f"{path} has no pictures ({_content(listing)}): expected files such as .png or .jpg, at any depth."
        )
    if in_order:
        chosen.sort(key=lambda index: listing.names[index])
    names = [listing.names[index] for index in chosen]
    found = labels.from_places(names, _listed(path, listing, names))
    notes = found.notes
    if listing.left_out:
        notes = (*notes, f"left out: {listing.left_out} links or special files in the archive")
    return Source(
        name=_name(path),
        count=len(names),
        read=lambda index: listing.read(chosen[index]),
        files=names,
        stamps=[listing.stamps[index] for index in chosen],
        place=str(path.resolve()),
        labels=found.labels,
        classes=found.classes,
        test=found.test,
        notes=notes,
    )


def _wanted(name: str) -> bool:
    hidden = any(part.startswith(".") for part in name.split("/"))  # as in a folder
    return not hidden and (labels.is_picture(name) or PurePosixPath(name).name == LISTED)


def _name(path: Path) -> str:
    name = path.resolve().name
    suffix = next((suffix for suffix in sorted(SUFFIXES, key=len)[::-1] if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)] or name


def _content(listing: Listing) -> str:
    """What an archive without pictures holds instead, in words."""
    kinds = [kind for kind, _ in listing.others.most_common(6)] + [LISTED] * bool(listing.names)
    if kinds:
        return f"it holds only {labels.printable(', '.join(kinds))}"
    return "it holds only links and special files" if listing.left_out else "it is empty"


def _listed(path: Path, listing: Listing, names: Sequence[str]) -> Mapping[str, object] | None:
    """The content of ``dataset.json`` at the root or in a folder around everything."""
    numbers = {name: index for index, name in enumerate(listing.names) if PurePosixPath(name).name == LISTED}
    folder = ""
    for part in names[0].split("/"):
        if folder + LISTED in numbers and all(name.startswith(folder) for name in names):
            try:
                text = listing.read(numbers[folder + LISTED])
            except Unreadable as error:
                raise UserError(f"{folder}{LISTED} in {path} cannot be read ({error}): pack it again.") from None
            return labels.read_json(text, f"{folder}{LISTED} in {path}")
        folder += f"{part}/"
    return None
