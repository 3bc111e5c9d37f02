"""Data sets of the Hugging Face Hub, fetched by its own library into that library's own cache."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from zerosum.data.readers.groups import require_pyarrow
from zerosum.data.readers.labels import is_picture
from zerosum.data.readers.parts import choose, is_whole, parts
from zerosum.data.readers.rows import rows
from zerosum.data.source import Source
from zerosum.errors import Stopped, UserError

ADDRESS = re.compile(r"(?:hf:)?(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^:@\s]+))?(?::(?P<table>[^:@\s]+))?")
CONVERTED = "refs/convert/parquet"  # the branch of what the Hub converted by itself
TIMEOUT = 30.0


class Named(NamedTuple):
    """What a user named: a repository, a branch, tag or commit, and one of its tables."""

    repo: str
    revision: str | None
    table: str | None

    @property
    def shown(self) -> str:
        """The repository and revision as a user writes them."""
        return f"hf:{self.repo}" + (f"@{self.revision}" if self.revision else "")


class Place(NamedTuple):
    """Where the library is to fetch from and to keep; None leaves both to it (``HF_ENDPOINT``, ``HF_HOME``)."""

    endpoint: str | None
    cache: Path | None


class Listing(NamedTuple):
    """Files of a repository as posix paths, at one commit; ``known`` says what its name for that commit is."""

    names: tuple[str, ...]
    commit: str
    known: str


def hub(address: str, endpoint: str | None = None, cache_dir: Path | None = None) -> Source:
    """A data set of the Hugging Face Hub: its Parquet files, else those the Hub converted, else its only zip.

    Args:
        address: ``hf:owner/name``, with ``@`` and a branch, tag or commit, with ``:`` and one of several tables.
        endpoint: another address of the Hub.
        cache_dir: another folder to keep files in.

    Without a network, files that an earlier call fetched are used where all of them are there.

    Raises:
        UserError: no such data set, it is not open to this user, it cannot be reached, or it holds no pictures.
    """
    require_pyarrow()
    try:
        import huggingface_hub  # noqa: F401
    except ImportError:
        raise UserError("Data sets of the Hub need huggingface_hub: pip install 'zerosum[data]'.") from None
    found = ADDRESS.fullmatch(address)
    if found is None:
        raise UserError(f"{address} is no address of a data set: expected hf:owner/name, as in hf:ylecun/mnist.")
    named, place = Named(**found.groupdict()), Place(endpoint, cache_dir)
    try:
        return _fetched(named, place)
    except ConnectionError as error:
        kept = _kept(named, place)
        if kept is None:
            raise UserError(
                f"{named.shown} could not be fetched ({error}): try again, or download its files by hand "
                f"({_by_hand(named)}) and give the folder."
            ) from None
        return kept


def _fetched(named: Named, place: Place) -> Source:
    listing = _list(named, named.revision, place)
    assert listing is not None
    wanted = _tables(listing.names)
    if not wanted and named.revision is None:
        converted = _list(named, CONVERTED, place)
        if converted is not None and _tables(converted.names):
            listing, wanted = converted, _tables(converted.names)
    if wanted:
        wanted = choose(wanted, named.table, named.shown, f"choose one, as in {named.shown}:NAME")
        return _source(named, _fetch(named, listing, wanted, place), wanted)
    zips = [name for name in listing.names if name.lower().endswith(".zip")]
    if len(zips) != 1:
        pictures = sum(is_picture(name) for name in listing.names)
        raise UserError(
            f"{named.shown} holds no Parquet files and no single zip, but {len(zips)} zips and {pictures} pictures: "
            f"download it by hand ({_by_hand(named)}) and give the folder or the zip."
        )
    return _zipped(named, _fetch(named, listing, zips, place) / zips[0])


def _source(named: Named, root: Path, wanted: Sequence[str]) -> Source:
    name = "-".join((named.repo.split("/")[1], *([named.table.replace("/", "-")] if named.table else [])))
    place = named.shown + (f":{named.table}" if named.table else "")
    return rows(root, parts(wanted, named.shown), name, place)


def _zipped(named: Named, path: Path) -> Source:
    from zerosum.data.readers.archives import archive

    return replace(archive(path), name=named.repo.split("/")[1])


def _tables(names: Sequence[str]) -> list[str]:
    """Parquet files that may hold pictures; ``metadata.parquet`` tells about picture files beside it."""
    return [name for name in names if name.endswith(".parquet") and PurePosixPath(name).name != "metadata.parquet"]


def _list(named: Named, revision: str | None, place: Place) -> Listing | None:
    """The files of a repository, or None where it has no branch of files that the Hub converted."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RevisionNotFoundError

    with _in_words(named):
        try:
            info = HfApi(endpoint=place.endpoint).dataset_info(named.repo, revision=revision, timeout=TIMEOUT)
        except RevisionNotFoundError:
            if revision == CONVERTED:
                return None
            raise
        commit = info.sha
        names = [sibling.rfilename for sibling in info.siblings or ()]
    if not commit:
        raise UserError(f"{named.shown} answers without a commit: check what HF_ENDPOINT points to.")
    inside = (name for name in names if not name.startswith("/") and ".." not in PurePosixPath(name).parts)
    return Listing(tuple(sorted(inside)), commit, revision or "main")


def _fetch(named: Named, listing: Listing, wanted: Sequence[str], place: Place) -> Path:
    """Fetch files that are not there yet; the folder of the commit."""
    from huggingface_hub import HfApi

    root = None
    with _in_words(named):
        api = HfApi(endpoint=place.endpoint)
        for name in wanted:
            path = api.hf_hub_download(
                named.repo, name, repo_type="dataset", revision=listing.commit, cache_dir=place.cache
            )
            root = Path(path).parents[len(PurePosixPath(name).parts) - 1]
        if listing.known != listing.commit:  # so that the library remembers what the name stands for
            api.hf_hub_download(
                named.repo, wanted[0], repo_type="dataset", revision=listing.known, cache_dir=place.cache
            )
    assert root is not None
    return root


def _kept(named: Named, place: Place) -> Source | None:
    """What an earlier call fetched, where files that say how many they are show that none is missing."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(place.cache or HF_HUB_CACHE) / f"datasets--{named.repo.replace('/', '--')}"
    for revision in [named.revision] if named.revision else ["main", CONVERTED]:
        known = folder / "refs" / revision
        root = folder / "snapshots" / (known.read_text().strip() if known.is_file() else revision)
        names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.parquet") if path.is_file())
        if not names:
            continue
        wanted = choose(_tables(names), named.table, named.shown, f"choose one, as in {named.shown}:NAME")
        if is_whole(wanted):
            source = _source(named, root, wanted)
            return replace(source, notes=(*source.notes, "the Hub could not be reached: these are files kept earlier"))
    return None


def _by_hand(named: Named) -> str:
    return f"hf download --repo-type dataset --local-dir FOLDER {named.repo}"


@contextlib.contextmanager
def _in_words(named: Named) -> Iterator[None]:
    """Raises ``UserError`` where the Hub says no, and ``ConnectionError`` where it says nothing."""
    from huggingface_hub import errors

    page = f"https://huggingface.co/datasets/{named.repo}"
    try:
        yield
    except errors.GatedRepoError:
        raise UserError(
            f"{named.shown} is only for those who accepted its terms: do so at {page} and log in with 'hf auth login', "
            "or download it by hand and give the folder."
        ) from None
    except errors.RepositoryNotFoundError:
        raise UserError(
            f"{named.shown} is not there, or private: check {page}, log in with 'hf auth login', or download it by "
            "hand and give the folder."
        ) from None
    except errors.RevisionNotFoundError:
        raise UserError(
            f"{named.shown} is not there: the data set has no branch, tag or commit of that name."
        ) from None
    except errors.HFValidationError as error:
        raise UserError(
            f"{named.shown} is no address of a data set ({_line(error)}): expected hf:owner/name."
        ) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Stopped(f"The disk is full: {named.shown} could not be kept; free some space.") from error
        raise ConnectionError(_line(error)) from None
    except Exception as error:  # the library's own dependencies raise what they like about a connection
        raise ConnectionError(_line(error)) from None


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
