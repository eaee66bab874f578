"""Reads a superfile with pyarrow, DuckDB, Polars and fastparquet and compares every value with a JSON file.

    python tests/open_format/check.py PARQUET EXPECTED_JSON [PARQUET EXPECTED_JSON ...]

`cargo run -p infino-superfile --example write_sample -- FOLDER` writes such pairs. Each column of each file is one check
for each reader. The last line is `N passed, N failed`; the exit status is 0 only if nothing failed.
"""

import decimal
import json
import struct
import sys

import duckdb
import fastparquet
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

# What DuckDB is asked for, by kind: temporal values as whole numbers in the unit of the column.
DUCKDB = {
    "date": "date_diff('day', DATE '1970-01-01', {})",
    "time_ms": "epoch_ms({})",
    "time_us": "epoch_us({})",
    "time_ns": "epoch_ns({})",
    "timestamp_ms": "epoch_ms({})",
    "timestamp_us": "epoch_us({})",
    "timestamp_ns": "epoch_ns({})",
}

# What fastparquet has no type for: it gives other columns, raw bytes or nothing.
FASTPARQUET_LACKS = {"f16", "struct", "list_of_struct"}

# The units of temporal values, by kind.
UNITS = {
    "date": "D",
    "time_ms": "ms",
    "time_us": "us",
    "time_ns": "ns",
    "timestamp_ms": "ms",
    "timestamp_us": "us",
    "timestamp_ns": "ns",
}

NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def same(expected, found):
    """Whether a value read is the one expected; see `cells` of the writer for how values are written."""
    if expected is None or found is None:
        return expected is None and found is None
    if isinstance(expected, list):
        if isinstance(found, dict):
            found = list(found.items())
        return len(expected) == len(found) and all(map(same, expected, found))
    if isinstance(expected, dict):
        return expected.keys() == found.keys() and all(same(expected[key], found[key]) for key in expected)
    if isinstance(expected, bool) or isinstance(found, bool):
        return expected is found
    if isinstance(found, float):
        wanted = float(expected)
        if wanted != wanted:
            return found != found
        return struct.pack("<d", wanted) == struct.pack("<d", found)
    if isinstance(found, decimal.Decimal):
        return decimal.Decimal(expected) == found
    if isinstance(found, bytes):
        return expected == found.hex()
    if isinstance(found, int):
        return int(expected) == found
    return expected == found


def same_as_double(expected, found):
    """DuckDB reads decimals of more than 38 digits as doubles."""
    if expected is None or found is None:
        return expected is found
    wanted = float(decimal.Decimal(expected))
    return abs(wanted - found) <= 1e-12 * abs(wanted)


def same_to_the_microsecond(expected, found):
    """Older releases of DuckDB keep times to the microsecond."""
    if expected is None or found is None:
        return expected is found
    return int(expected) // 1000 == found // 1000


def whole_numbers(column):
    """Temporal values of an Arrow column as the numbers they are stored as."""
    if pa.types.is_temporal(column.type):
        if column.type.bit_width == 32:
            column = column.cast(pa.int32())
        return column.cast(pa.int64())
    return column


def check_pyarrow(path, expected):
    file = pq.ParquetFile(path)
    table = file.read()
    ids = {name: field.metadata for name, field in zip(table.schema.names, table.schema)}
    for column in expected["columns"]:
        found = whole_numbers(table[column["name"]]).to_pylist()
        problem = differ(column["values"], found, same)
        field_id = (ids[column["name"]] or {}).get(b"PARQUET:field_id")
        if problem is None and field_id != str(column["field_id"]).encode():
            problem = f"field id {field_id}, expected {column['field_id']}"
        yield column["name"], problem
    names = [column["name"] for column in expected["columns"]]
    yield "the columns", None if names == table.schema.names else f"{table.schema.names}"


def check_duckdb(path, expected):
    database = duckdb.connect()
    database.execute("SET preserve_insertion_order = true")
    for column in expected["columns"]:
        kind = column["kind"]
        name = '"' + column["name"].replace('"', '""') + '"'
        query = f"SELECT {DUCKDB.get(kind, '{}').format(name)} FROM read_parquet(?)"
        found = [row[0] for row in database.execute(query, [path]).fetchall()]
        compare = same_as_double if kind == "decimal256" else same
        if kind == "time_ns" and duckdb_type(database, path, name) == "TIME":
            compare = same_to_the_microsecond
        yield column["name"], differ(column["values"], found, compare)
    rows = database.execute("SELECT count(*) FROM read_parquet(?)", [path]).fetchone()[0]
    yield "count(*)", None if rows == expected["rows"] else f"{rows} rows, expected {expected['rows']}"


def check_polars(path, expected):
    for column in expected["columns"]:
        # Polars ends at 38 digits.
        if column["kind"] == "decimal256":
            continue
        found = pl.read_parquet(path, columns=[column["name"]]).to_series()
        values = found.to_physical().to_list() if found.dtype.is_temporal() else found.to_list()
        if found.dtype.is_temporal() and found.dtype != pl.Date:
            # It holds times in nanoseconds, and nothing in seconds.
            unit = column["name"].rsplit("_", 1)[-1]
            held = getattr(found.dtype, "time_unit", "ns")
            factor = NANOSECONDS.get(unit, NANOSECONDS[held]) // NANOSECONDS[held]
            wanted = [value if value is None else int(value) * factor for value in column["values"]]
            # What does not fit 64 bits in the unit it holds, it cannot show.
            fits = [value is None or -(2**63) <= value < 2**63 for value in wanted]
            kept = lambda of: [value for value, fit in zip(of, fits) if fit]
            yield column["name"], differ(kept(wanted), kept(values), same)
            continue
        yield column["name"], differ(column["values"], values, same)
    rows = pl.scan_parquet(path).select(pl.len()).collect().item()
    yield "the number of rows", None if rows == expected["rows"] else f"{rows} rows, expected {expected['rows']}"


def check_fastparquet(path, expected):
    file = fastparquet.ParquetFile(path)
    for column in expected["columns"]:
        name = column["name"]
        if name in FASTPARQUET_LACKS:
            continue
        found = file.to_pandas(columns=[name])[name]
        if found.dtype.kind in "mM":
            unit = f"{'datetime' if found.dtype.kind == 'M' else 'timedelta'}64[{UNITS[column['kind']]}]"
            numbers = found.to_numpy().astype(unit)
            values = [None if np.isnat(value) else int(value.astype("int64")) for value in numbers]
        else:
            values = [plain(value) for value in found]
            if isinstance(found.dtype, pd.StringDtype):
                values = [None if isinstance(value, float) else value for value in values]
        compare = same
        if found.dtype.kind == "f":
            # It has no null among floats, and decimals are floats to it.
            compare = same_or_nan if name in ("f32", "f64") else same_as_double_or_nan
        yield name, differ(column["values"], values, compare)


def plain(value):
    """A value of pandas or numpy as Python's own."""
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, np.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if value is pd.NA else value


def same_or_nan(expected, found):
    return found != found if expected is None else same(expected, found)


def same_as_double_or_nan(expected, found):
    return found != found if expected is None else same_as_double(expected, found)


def duckdb_type(database, path, name):
    query = f"SELECT any_value(typeof({name})) FROM read_parquet(?)"
    return database.execute(query, [path]).fetchone()[0]


def differ(expected, found, compare):
    """Says where two columns differ first; None if they do not."""
    if len(expected) != len(found):
        return f"{len(found)} rows, expected {len(expected)}"
    for row, (wanted, value) in enumerate(zip(expected, found)):
        if not compare(wanted, value):
            return f"row {row} is {value!r}, expected {wanted!r}"
    return None


READERS = (
    ("pyarrow", check_pyarrow),
    ("duckdb", check_duckdb),
    ("polars", check_polars),
    ("fastparquet", check_fastparquet),
)


def main(arguments):
    if not arguments or len(arguments) % 2:
        print(__doc__, file=sys.stderr)
        return 2
    passed = failed = 0
    for path, expected_path in zip(arguments[::2], arguments[1::2]):
        with open(expected_path, encoding="utf-8") as file:
            expected = json.load(file)
        for reader, check in READERS:
            for what, problem in check(path, expected):
                if problem is None:
                    passed += 1
                else:
                    failed += 1
                    print(f"{path}, {reader}, {what}: {problem}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
