"""Which column of a table holds the pictures, which one their classes, and what the classes are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from zerosum.data.source import MOST_CLASSES, Labels, numbered
from zerosum.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

PICTURES = ("image", "img", "picture", "jpg", "png")
LABELS = ("label", "labels", "class", "target", "fine_label")


class Columns(NamedTuple):
    """What a schema says.

    Attributes:
        picture: name of the column of pictures.
        nested: whether it holds {bytes, path} instead of the bytes themselves.
        label: name of the column of classes, or None.
        text: whether classes are written as text instead of numbers.
        classes: names of the classes where the schema lists them.
    """

    picture: str
    nested: bool
    label: str | None
    text: bool
    classes: tuple[str, ...]


class Written(NamedTuple):
    """Classes of the rows of one file: codes (N,), -1 where a row has none, and the texts that codes stand for."""

    codes: Labels
    texts: tuple[str, ...] = ()


class Named(NamedTuple):
    """Classes of all rows, or None with a sentence that says why."""

    labels: Labels | None
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()


def find_columns(schema: pa.Schema, where: str) -> Columns:
    """The columns of pictures and of classes, by Hugging Face's description of features, by type, and by name.

    Raises:
        UserError: there is no column of pictures, or several that could be it.
    """
    features = _features(schema)
    picture = _picture(schema, features, where)
    field = schema.field(picture)
    nested = _is_nested(field.type)
    if not nested and not _is_binary(field.type):
        raise UserError(
            f"The column {picture!r} of {where} has the type {field.type}: expected the bytes of encoded pictures."
        )
    label, classes = _label(schema, features)
    return Columns(picture, nested, label, label is not None and _is_text(schema.field(label).type), classes)


def written(column: pa.ChunkedArray) -> Written:
    """Classes as one file writes them; raises what pyarrow raises where they do not fit into 64 bits."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not _is_text(column.type):
        return Written(np.asarray(pc.fill_null(column.cast(pa.int64()), -1), dtype=np.int64))
    encoded = column.dictionary_encode().unify_dictionaries().chunks
    codes = [np.asarray(pc.fill_null(chunk.indices.cast(pa.int64()), -1), dtype=np.int64) for chunk in encoded]
    texts = tuple(encoded[0].dictionary.to_pylist()) if encoded else ()
    return Written(np.concatenate([*codes, np.empty(0, dtype=np.int64)]), texts)


def name_classes(parts: Sequence[Written], columns: Columns, where: str) -> Named:
    """One numbering for the classes of all files: texts are sorted, numbers stay where they have names.

    Raises:
        UserError: a number has no name in the schema's list of classes.
    """
    if columns.label is None:
        return Named(None, (), ("no labels: the table has no column of classes",))
    if columns.text:
        classes = tuple(sorted({text for part in parts for text in part.texts}))
        number = {text: index for index, text in enumerate(classes)}
        tables = [np.array([*(number[text] for text in part.texts), -1], dtype=np.int64) for part in parts]
        values = np.concatenate([table[part.codes] for table, part in zip(tables, parts, strict=True)])
    else:
        classes = columns.classes
        values = np.concatenate([part.codes for part in parts])
    missing = int((values < 0).sum())
    if missing:
        note = f"no labels: {missing} of {len(values)} rows have no class in the column {columns.label!r}"
        return Named(None, (), (note,))
    most = len(classes) if columns.text else int(values.max(initial=0)) + 1
    if most > MOST_CLASSES:
        return Named(None, (), (f"no labels: the column {columns.label!r} holds too many values to be classes",))
    if columns.classes and most > len(columns.classes):
        raise UserError(
            f"{where} holds the class {most - 1} but names only {len(columns.classes)} classes: repair the table."
        )
    return Named(values, classes) if classes else Named(*numbered(values))


def _features(schema: pa.Schema) -> dict[str, dict[str, object]]:
    """Hugging Face's features by column; nothing where there are none or they cannot be understood."""
    try:
        content = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = content["info"]["features"]
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _picture(schema: pa.Schema, features: dict[str, dict[str, object]], where: str) -> str:
    def best(names: list[str]) -> str | None:
        named = sorted((PICTURES.index(name.lower()), name) for name in names if name.lower() in PICTURES)
        return named[0][1] if named else names[0] if len(names) == 1 else None

    once = [name for name in schema.names if schema.names.count(name) == 1]
    tagged = [name for name in once if features.get(name, {}).get("_type") == "Image"]
    nested = [name for name in once if _is_nested(schema.field(name).type)]
    binary = [name for name in once if _is_binary(schema.field(name).type)]
    for names in (tagged, nested, binary):
        chosen = best(names)
        if chosen is not None:
            return chosen
        if names:
            raise UserError(
                f"{where} has several columns of pictures ({_listed(names)}): name the one to use {PICTURES[0]!r}, "
                "or take the others away."
            )
    held = _listed([f"{field.name} {field.type}" for field in schema])
    raise UserError(
        f"{where} has no column of pictures: it holds {held or 'no columns'}; expected one with the bytes of PNG or "
        "JPEG files, named 'image'."
    )


def _label(schema: pa.Schema, features: dict[str, dict[str, object]]) -> tuple[str | None, tuple[str, ...]]:
    """The column of classes and the classes' names where the features list them."""
    once = [name for name in schema.names if schema.names.count(name) == 1]
    whole = [name for name in once if _is_integer(schema.field(name).type)]
    known = sorted((LABELS.index(name.lower()), name) for name in once if name.lower() in LABELS)
    usual = [name for _, name in known]
    tagged = [name for name in whole if features.get(name, {}).get("_type") == "ClassLabel"]
    for name in (*(name for name in usual if name in tagged), *tagged):
        names = features[name].get("names")
        if isinstance(names, list) and names and all(isinstance(text, str) for text in names):
            return name, tuple(names)
        return name, ()
    for name in usual:
        if name in whole:
            return name, ()
    texts = [name for name in usual if _is_text(schema.field(name).type)]
    return (texts[0] if texts else None), ()


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name if len(name) <= 60 else f"{name[:57]}..." for name in names[:12])
    return f"{shown}{', ...' if len(names) > 12 else ''}".encode("utf-8", "backslashreplace").decode()


def _is_nested(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if not pa.types.is_struct(kind):
        return False
    at = kind.get_field_index("bytes")
    return at >= 0 and _is_binary(kind.field(at).type)


def _is_binary(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)


def _is_integer(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_integer(kind.value_type if pa.types.is_dictionary(kind) else kind)


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value)
