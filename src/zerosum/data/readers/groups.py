"""Groups of rows in Parquet files and in Arrow streams: what they hold, and how to load the pictures of one of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zerosum.data.readers.columns import Columns, Written, find_columns, written
from zerosum.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

LARGEST = 2**32  # bytes of pictures in one group of rows, which are held in memory together
END = b"\xff\xff\xff\xff\0\0\0\0"  # of an Arrow stream
STEP = 256  # rows decoded at once, so that a group that inflates too far is noticed on the way


class Group(NamedTuple):
    """Rows in memory: the bytes of pictures, and the paths beside them where the column has both."""

    pictures: pa.ChunkedArray
    paths: pa.ChunkedArray | None


class Table(NamedTuple):
    """One file.

    Attributes:
        columns: which of its columns are read.
        classes: the class of every row, or None.
        rows: number of rows of each group.
        load: number of a group -> its pictures. Raises ``UserError`` where the file is damaged.
    """

    columns: Columns
    classes: Written | None
    rows: tuple[int, ...]
    load: Callable[[int], Group]


def require_pyarrow() -> None:
    """Raises ``UserError`` with one line of help where pyarrow is not installed."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise UserError("Parquet and Arrow files need pyarrow: pip install 'zerosum[data]'.") from None


def open_table(path: Path) -> Table:
    """One file of a table, by its suffix.

    Raises:
        UserError: it is damaged, has no column of pictures, or holds too much in one group of rows.
    """
    table = _open_arrow(path) if path.suffix.lower() == ".arrow" else _open_parquet(path)
    if table.classes is not None and len(table.classes.codes) != sum(table.rows):
        raise UserError(f"{path} is damaged: it has another number of classes than of pictures; use another copy.")
    return table


def _open_parquet(path: Path) -> Table:
    import pyarrow.parquet as pq

    with _in_words(path), pq.ParquetFile(path) as file:
        columns = find_columns(file.schema_arrow, str(path))
        about = file.metadata
        counts = []
        for number in range(about.num_row_groups):
            group = about.row_group(number)  # its columns are not asked: a damaged one ends the process in C++
            if group.total_byte_size > LARGEST:
                raise UserError(_too_large(path, number))
            counts.append(group.num_rows)
        _check_counts(path, counts)
        classes = None
        if columns.label is not None:
            batches = [batch.column(0) for batch in file.iter_batches(columns=[columns.label])]
            classes = written(_whole(batches, file.schema_arrow.field(columns.label).type))

    def load(number: int) -> Group:
        parts: list[pa.Array] = []
        size = 0
        with _in_words(path), pq.ParquetFile(path) as again:
            chosen = again.iter_batches(STEP, row_groups=[number], columns=[columns.picture])
            for batch in chosen:
                parts.append(batch.column(0))
                size += batch.nbytes
                if size > LARGEST:
                    raise UserError(_too_large(path, number))
            group = _group(_whole(parts, again.schema_arrow.field(columns.picture).type), columns)
        if len(group.pictures) != counts[number]:
            raise UserError(f"{path} is damaged: a group of rows is shorter than it says; use another copy.")
        return group

    return Table(columns, classes, tuple(counts), load)


def _open_arrow(path: Path) -> Table:
    """A stream as ``datasets`` writes it: mapped into memory, so that a batch costs nothing until it is read."""
    import pyarrow as pa

    with _in_words(path):
        mapped = pa.memory_map(str(path))
        if mapped.size() >= 6 and mapped.read(6) == b"ARROW1":
            raise UserError(f"{path} is a Feather file: expected Parquet or what datasets.save_to_disk writes.")
        mapped.seek(0)
        messages = pa.ipc.MessageReader.open_stream(mapped)
        first = messages.read_next_message()
        if first.type != "schema":  # what else it is would be followed wherever it leads
            raise UserError(f"{path} is damaged: it does not begin with a schema; use another copy of it.")
        schema = pa.ipc.read_schema(first)
        columns = find_columns(schema, str(path))
        batches: list[pa.Array] = []
        labels: list[pa.Array] = []
        for message in _messages(messages):
            if message.type != "record batch" or _is_compressed(message.metadata.to_pybytes()):
                raise UserError(
                    f"{path} is compressed or has columns of categories: write it as Parquet, or with "
                    "datasets.save_to_disk."
                )
            batch = pa.ipc.read_record_batch(message, schema)
            batches.append(batch.column(columns.picture))
            if columns.label is not None:
                labels.append(batch.column(columns.label))
        mapped.seek(mapped.size() - len(END))
        if mapped.read(len(END)) != END:
            raise UserError(f"{path} is damaged: its end is missing; use another copy of it.")
        _check_counts(path, [len(batch) for batch in batches])
        classes = None
        if columns.label is not None:
            classes = written(_whole(labels, schema.field(columns.label).type))

    def load(number: int) -> Group:
        with _in_words(path):
            return _group(_whole([batches[number]], batches[number].type), columns)

    return Table(columns, classes, tuple(len(batch) for batch in batches), load)


def _messages(reader: pa.ipc.MessageReader) -> Iterator[pa.ipc.Message]:
    with contextlib.suppress(StopIteration):
        while True:
            yield reader.read_next_message()


def _is_compressed(metadata: bytes) -> bool:
    """Whether a record batch's flatbuffer (verified by pyarrow) has its field of a compression."""

    def field(table: int, slot: int) -> int:
        layout = table - int.from_bytes(metadata[table : table + 4], "little", signed=True)
        size = int.from_bytes(metadata[layout : layout + 2], "little")
        at = layout + 4 + 2 * slot
        offset = int.from_bytes(metadata[at : at + 2], "little") if 4 + 2 * slot < size else 0
        return table + offset if offset else 0

    def target(at: int) -> int:
        return at + int.from_bytes(metadata[at : at + 4], "little")

    batch = field(target(0), 2)  # Message.header
    return batch != 0 and field(target(batch), 3) != 0  # RecordBatch.compression


def _whole(chunks: Sequence[pa.Array], kind: pa.DataType) -> pa.ChunkedArray:
    """Chunks as one column; offsets that lead outside the file raise here instead of being followed."""
    import pyarrow as pa

    for chunk in chunks:
        chunk.validate(full=True)
    return pa.chunked_array(chunks, kind)


def _group(column: pa.ChunkedArray, columns: Columns) -> Group:
    if not columns.nested:
        return Group(column, None)
    fields = column.flatten()  # a missing row is missing in every field
    path = column.type.get_field_index("path")
    return Group(fields[column.type.get_field_index("bytes")], fields[path] if path >= 0 else None)


def _check_counts(path: Path, counts: Sequence[int]) -> None:
    if min(counts, default=0) < 0 or sum(counts) > path.stat().st_size:
        raise UserError(f"{path} is damaged: it says that it holds {sum(counts)} rows; use another copy.")


def _too_large(path: Path, number: int) -> str:
    return (
        f"{path} holds more than {LARGEST >> 30} GiB of pictures in its group of rows {number}: write it again with "
        "about a thousand rows in a group (row_group_size=1000)."
    )


@contextlib.contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """Whatever pyarrow raises about a damaged file is the file's fault."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        reason = reason.encode("utf-8", "backslashreplace").decode()
        raise UserError(f"{path} is damaged or no table ({reason}): use another copy of it.") from None
