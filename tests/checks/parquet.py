#!/usr/bin/env python3
"""Reads a Parquet file with DuckDB, and with PyArrow where it is there, and prints what both find. Ends with 77 where DuckDB is not installed.

The first line is an array of pairs, the columns' names and types; each further one the array of a row's values, times as milliseconds since 1970.

Usage: parquet.py FILE
"""

import json
import sys

SKIPPED = 77


def by_duckdb(path: str) -> tuple[list, list]:
    """The columns with DuckDB's types, and the rows."""
    import duckdb

    columns = duckdb.execute("DESCRIBE SELECT * FROM read_parquet(?)", [path]).fetchall()
    columns = [(name, kind) for name, kind, *_ in columns]
    told = ", ".join(
        f'epoch_ms("{name}") AS "{name}"' if kind.startswith("TIMESTAMP") else f'"{name}"' for name, kind in columns
    )
    rows = duckdb.execute(f"SELECT {told} FROM read_parquet(?)", [path]).fetchall()
    return columns, [list(row) for row in rows]


def by_pyarrow(path: str) -> list:
    """The rows as PyArrow reads them."""
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path)
    columns = []
    for column in table.columns:
        if pyarrow.types.is_timestamp(column.type):
            assert column.type == pyarrow.timestamp("ms", tz="UTC"), column.type
            column = column.cast(pyarrow.int64())
        columns.append(column.to_pylist())
    return [list(row) for row in zip(*columns)]


def main() -> int:
    """Prints the file, or says what differs."""
    path = sys.argv[1]
    try:
        columns, rows = by_duckdb(path)
    except ImportError as error:
        print(error, file=sys.stderr)
        return SKIPPED
    try:
        others = by_pyarrow(path)
        assert others == rows, "DuckDB and PyArrow read different rows"
    except ImportError:
        pass
    print(json.dumps(columns))
    for row in rows:
        print(json.dumps(row))
    return 0


if __name__ == "__main__":
    sys.exit(main())
