"""Parquet and Feather files through pyarrow (the extra ``files``)."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from adaptstft.common.memory import check_memory
from adaptstft.common.optional import require
from adaptstft.recordings.columns import Column, Table
from adaptstft.recordings.source import readable

_ITEM = 8


def read_columnar(stream: BinaryIO, suffix: str) -> Table:
    """Return the numeric columns and the times of a Parquet or Feather file."""
    pyarrow = require("pyarrow", extra="files")
    with readable(f"{suffix[1:]} file"):
        if suffix == ".parquet":
            file = require("pyarrow.parquet", extra="files").ParquetFile(stream)
            schema, rows = file.schema_arrow, file.metadata.num_rows
        else:
            file = require("pyarrow.ipc", extra="files").open_file(stream)
            schema, rows = file.schema, None
        names = [field.name for field in schema if _is_useful(pyarrow, field.type)]
        if rows is not None:
            check_memory(max(rows, 0) * _ITEM * max(len(names), 1), "the table")
            table = file.read(columns=names)
        else:
            table = file.read_all()
        columns = [_column(name, table.column(name)) for name in names]
    notes = tuple(
        f"column {field.name!r} is of type {field.type} and is left out" for field in schema if field.name not in names
    )
    if not columns:
        raise ValueError("the file holds no samples")
    return Table(columns, lambda row: f"row {row}", notes)


def _is_useful(pyarrow: Any, kind: Any) -> bool:
    types = pyarrow.types
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_timestamp(kind)
        or types.is_duration(kind)
        or types.is_date(kind)
    )


def _column(name: str, values: Any) -> Column:
    if values.null_count:
        raise ValueError(f"column {name!r} has {values.null_count} empty fields")
    array = values.to_numpy()
    if array.dtype.kind == "O":  # dates
        array = array.astype("datetime64[D]")
    if array.dtype.kind == "b":
        array = array.astype(np.float64)
    # pandas names the numbers of the rows so
    return Column("" if name == "__index_level_0__" else name, "", array)
