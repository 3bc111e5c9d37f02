"""The members of a zip archive, read one by one and never written to the disk."""

from __future__ import annotations

import bz2
import contextlib
import lzma
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from zerosum.data.readers.packed import LARGEST, MOST, Listing, damaged, inside, kind, reader_at
from zerosum.data.source import Unreadable, printable
from zerosum.errors import UserError

UTF_8 = 0x800  # flags of a member
LOCKED = 0x1
HEADER = 30  # bytes before the name in a member's own header


class _Member(NamedTuple):
    start: int
    packed: int
    size: int
    crc: int
    method: int


def open_zip(path: Path, keep: Callable[[str], bool]) -> Listing:
    """List the files of a zip archive whose names ``keep`` wants, sorted by name.

    Raises:
        UserError: it is damaged or locked, or a name leads out of it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except Exception as error:  # whatever zipfile raises about a damaged archive is the archive's fault
        raise damaged(path, error) from None
    if len(infos) > MOST:
        raise UserError(f"{path} holds {len(infos)} files: more than {MOST} are no pictures to train on.")
    members: dict[str, _Member] = {}
    left_out, others = 0, Counter[str]()
    for info in infos:
        name = inside(_name(info), path)
        if not name or info.is_dir():
            continue
        if info.create_system == 3 and stat.S_ISLNK(info.external_attr >> 16):
            left_out += 1
        elif not keep(name):
            others[kind(name)] += 1
        elif info.flag_bits & LOCKED:
            raise UserError(f"{path} is locked with a password ({printable(name)}): unpack it and give the folder.")
        else:  # of twins the last one counts, as it does when an archive is unpacked
            members[name] = _Member(
                info.header_offset, info.compress_size, info.file_size, info.CRC, info.compress_type
            )
    names = sorted(members)
    rows = [members[name] for name in names]
    try:
        read_at = reader_at(path)
    except OSError as error:
        raise damaged(path, error) from None

    def read(index: int) -> bytes:
        return _content(rows[index], read_at)

    return Listing(names, [f"{row.crc:08x} {row.size}" for row in rows], read, left_out, others)


def _name(info: zipfile.ZipInfo) -> str:
    """The member's name with slashes; names in UTF-8 that do not say so (as macOS writes them) are set right."""
    name = info.filename
    if not info.flag_bits & UTF_8:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _content(member: _Member, read_at: Callable[[int, int], bytes]) -> bytes:
    if max(member.size, member.packed) > LARGEST:
        raise Unreadable(f"{max(member.size, member.packed) / 2**20:.0f} MiB are too many for a picture")
    try:
        head = read_at(member.start, HEADER)
        if len(head) < HEADER or head[:4] != b"PK\x03\x04":
            raise Unreadable("it is not where the archive says it is")
        start = member.start + HEADER + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
        packed = read_at(start, member.packed)
        if len(packed) < member.packed:
            raise Unreadable("the archive is cut short")
        content = _unpack(packed, member)
    except (OSError, ValueError, OverflowError, EOFError, zlib.error, lzma.LZMAError, MemoryError) as error:
        raise Unreadable(f"it cannot be unpacked: {printable(str(error))}") from None
    if len(content) > member.size:
        raise Unreadable(f"it unpacks to more than the {member.size} bytes that the archive says")
    if len(content) < member.size or zlib.crc32(content) != member.crc:
        raise Unreadable("its checksum is wrong")
    return content


def _unpack(packed: bytes, member: _Member) -> bytes:
    """The content of a member, at most one byte more than it should have."""
    most = member.size + 1
    if member.method == zipfile.ZIP_STORED:
        return packed
    if member.method == zipfile.ZIP_DEFLATED:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, most)
    if member.method == zipfile.ZIP_BZIP2:
        return bz2.BZ2Decompressor().decompress(packed, most)
    if member.method == zipfile.ZIP_LZMA:
        return _lzma(packed, member.size)
    raise Unreadable(f"it is packed by method {member.method}: pack the archive again with deflate, the usual one")


def _lzma(packed: bytes, size: int) -> bytes:
    """Two bytes version, two bytes size of the properties (5), the properties, raw LZMA1."""
    if len(packed) < 9 or packed[2:4] != b"\x05\x00" or packed[4] >= 9 * 5 * 5:
        raise Unreadable("its header is damaged")
    literal, position = packed[4] % 9, packed[4] // 9
    asked = int.from_bytes(packed[5:9], "little")
    chain = {
        "id": lzma.FILTER_LZMA1,
        "dict_size": max(4096, min(asked, size + 1)),  # no more than the content can refer back to
        "lc": literal,
        "lp": position % 5,
        "pb": position // 5,
    }
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[chain]).decompress(packed[9:], size + 1)
