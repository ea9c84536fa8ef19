"""Tables as CSV and Parquet files, written as their rows come."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from dapo_cli import csv_lines
from dapo_cli.errors import BadInput

_AT_ONCE = 50_000  # rows in a row group of a Parquet file

Columns = Mapping[str, type]
Rows = Iterable[tuple[Any, ...]]


def write_csv(path: Path, columns: Columns, rows: Rows) -> None:
    """UTF-8, a header, lines that end in a line feed. Missing values are empty, other numbers `nan`, `inf`, `-inf`."""
    with path.open("x", encoding="utf-8", newline="") as file:
        writer = csv_lines.writer(file)
        writer.writerow(columns)
        writer.writerows([_csv_value(value) for value in row] for row in rows)


def write_parquet(path: Path, columns: Columns, rows: Rows) -> None:
    """Typed columns, in which a missing value is null and NaN is NaN. Needs pyarrow; raises BadInput without it."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise BadInput("Parquet needs a package: pip install 'dapo-cli[parquet]', or use --format csv") from error
    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), list: pa.list_(pa.string())}
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    source = iter(rows)
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while batch := list(islice(source, _AT_ONCE)):
            values = [[_parquet_value(value) for value in column] for column in zip(*batch, strict=True)]
            arrays = [pa.array(column, field.type) for column, field in zip(values, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


WRITERS: dict[str, Callable[[Path, Columns, Rows], None]] = {"csv": write_csv, "parquet": write_parquet}
"""Format, which is also the ending of the file's name -> what writes it."""


def _csv_value(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, sort_keys=True) if isinstance(value, (list, dict)) else value


def _parquet_value(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value
