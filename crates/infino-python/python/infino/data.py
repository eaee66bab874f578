"""Rows from whatever a user has, as Arrow."""

from __future__ import annotations

import array
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from infino.errors import InvalidError
from infino.index import IndexSpec

__all__ = ["rows_of", "schema_for"]


def rows_of(data: object, schema: pa.Schema | None = None) -> Any:
    """``data`` as an object with Arrow's C stream; rows that are Arrow already are not copied.

    Takes tables, batches, readers and datasets of pyarrow, frames of pandas and Polars, anything with
    ``__arrow_c_stream__``, a dictionary of columns, a list of dictionaries or of objects with ``model_dump``, and an
    iterable of batches. Columns may be lists or arrays of numpy; those of two dimensions become vectors. ``schema`` says
    what columns shall be where the data leaves it open.
    """
    if isinstance(data, (pa.Table, pa.RecordBatch, pa.RecordBatchReader)):
        return data
    module = type(data).__module__.partition(".")[0]
    if module == "pandas":
        return _from_pandas(data)
    if module == "polars" and hasattr(data, "collect"):
        return data.collect()
    if hasattr(data, "__arrow_c_stream__"):
        return data
    if hasattr(data, "scanner") and callable(data.scanner):
        return data.scanner().to_reader()
    if module == "pyarrow" and hasattr(data, "to_reader"):
        return data.to_reader()
    if isinstance(data, Mapping):
        return _from_columns(data, schema)
    if isinstance(data, (str, bytes)):
        raise InvalidError(f"rows are a table, a frame or a list of dictionaries, not {type(data).__name__}")
    if isinstance(data, Sequence):
        return _from_rows(data, schema)
    if isinstance(data, Iterable):
        return _from_iterator(iter(data), schema)
    raise InvalidError(
        f"rows are a table, a frame or a list of dictionaries, not {type(data).__name__}"
    )


def _from_pandas(frame: Any) -> pa.Table:
    if hasattr(frame, "columns"):
        table = pa.Table.from_pandas(frame, preserve_index=False)
        return table.replace_schema_metadata(None)
    raise InvalidError(f"rows are a pandas DataFrame, not a {type(frame).__name__}")


def _from_columns(columns: Mapping[Any, Any], schema: pa.Schema | None) -> pa.Table:
    arrays = [_column(values, _type_in(schema, str(name))) for name, values in columns.items()]
    return pa.table(arrays, names=[str(name) for name in columns])


def _from_rows(rows: Sequence[Any], schema: pa.Schema | None) -> pa.Table:
    if rows and isinstance(rows[0], pa.RecordBatch):
        return pa.Table.from_batches(rows)
    plain = [row.model_dump() if hasattr(row, "model_dump") else row for row in rows]
    names: dict[str, None] = {}
    for at, row in enumerate(plain):
        if not isinstance(row, Mapping):
            raise InvalidError(f"row {at} is a {type(row).__name__}, not a dictionary")
        names.update(dict.fromkeys(row))
    if not names and schema is not None:
        return schema.empty_table()
    arrays = [_column([row.get(name) for row in plain], _type_in(schema, name)) for name in names]
    return pa.table(arrays, names=list(names))


def _from_iterator(items: Iterator[Any], schema: pa.Schema | None) -> Any:
    first = next(items, None)
    if first is None:
        return _from_rows([], schema)
    if isinstance(first, pa.RecordBatch):
        return pa.RecordBatchReader.from_batches(first.schema, itertools.chain([first], items))
    if isinstance(first, pa.Table):
        batches = (batch for table in itertools.chain([first], items) for batch in table.to_batches())
        return pa.RecordBatchReader.from_batches(first.schema, batches)
    return _from_rows([first, *items], schema)


def _type_in(schema: pa.Schema | None, name: str) -> pa.DataType | None:
    at = schema.get_field_index(name) if schema is not None else -1
    return schema.field(at).type if schema is not None and at >= 0 else None


def _column(values: Any, wanted: pa.DataType | None) -> Any:
    """One column. A type that is wanted is a hint: what it does not fit is left for the table to refuse."""
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values
    if getattr(values, "ndim", 1) == 2:
        return _vectors(values)
    if not isinstance(values, (list, tuple)) and not hasattr(values, "__array__"):
        values = list(values)
    try:
        if wanted is not None:
            try:
                return pa.array(values, type=wanted)
            except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
                pass
        return pa.array(values)
    except pa.ArrowException as error:
        raise InvalidError(f"a column of {type(values).__name__}: {error}") from error


def _vectors(matrix: Any) -> pa.Array[Any]:
    """The rows of a matrix of numpy as vectors; floats of 64 bits become floats of 32."""
    if matrix.dtype.kind == "f" and matrix.dtype.itemsize > 4:
        matrix = matrix.astype("float32")
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])


def schema_for(rows: Any, spec: IndexSpec) -> tuple[pa.Schema, Any]:
    """The columns of a new table that begins with ``rows``, and the rows, of which the first batch may have been read.

    Lists under a vector index become vectors of floats, layouts that few readers know become plain ones.
    """
    reader = pa.RecordBatchReader.from_stream(rows) if not isinstance(rows, pa.Table) else None
    schema: pa.Schema = rows.schema if reader is None else reader.schema
    vectors = {index.column: index.dim for index in spec.vectors}
    first: pa.RecordBatch | None = None
    fields = []
    for field in schema:
        kind = _plain(field.type)
        if field.name in vectors and (_is_list(kind) or pa.types.is_null(kind)):
            dim = vectors[field.name] or getattr(kind, "list_size", None)
            if dim is None:
                if reader is not None and first is None:
                    first = next(reader, None)
                column = rows[field.name] if reader is None else first and first[field.name]
                dim = _first_length(column, field.name)
            kind = pa.list_(pa.float32(), dim)
        fields.append(pa.field(field.name, kind, field.nullable))
    if reader is None:
        return pa.schema(fields), rows
    left = itertools.chain([first] if first is not None else [], reader)
    return pa.schema(fields), pa.RecordBatchReader.from_batches(schema, left)


def _first_length(column: Any, name: str) -> int:
    for value in column if column is not None else ():
        if value.is_valid:
            return len(value)
    raise InvalidError(
        f"vector index on {name!r}: no row says how many dimensions it has; give the index its dim"
    )


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type without layouts that few readers know, inside lists too. Structs come in as they are."""
    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_binary_view(kind) or pa.types.is_large_binary(kind):
        return pa.binary()
    if isinstance(kind, (pa.ListType, pa.LargeListType)):
        return pa.list_(_plain_field(kind.value_field))
    return kind


def _plain_field(field: pa.Field[Any]) -> pa.Field[Any]:
    return field.with_type(_plain(field.type))


def vector_bytes(vector: Any) -> bytes:
    """A vector as 32-bit floats of this machine's byte order."""
    if hasattr(vector, "__array__"):
        import numpy as np

        floats: np.ndarray[Any, np.dtype[np.float32]] = np.asarray(vector, dtype=np.float32)
        if floats.ndim != 1:
            raise InvalidError(f"a query is one vector, not an array of {floats.ndim} dimensions")
        return floats.tobytes()
    try:
        return array.array("f", vector).tobytes()
    except TypeError as error:
        raise InvalidError(f"a vector is a list of numbers or a numpy array: {error}") from error


def is_vector(value: object) -> bool:
    """Whether a value is taken for a vector: an array, or a list of numbers."""
    if isinstance(value, (str, bytes)):
        return False
    if hasattr(value, "__array__") and getattr(value, "ndim", 0) == 1:
        return True
    return (
        isinstance(value, Sequence)
        and len(value) > 0
        and all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in value)
    )


def params_of(params: Iterable[object] | None) -> list[pa.Array[Any]]:
    """Parameters of a statement, each as an array of one value; lists of numbers are vectors."""
    if isinstance(params, (Mapping, str, bytes)):
        raise InvalidError("params are a list, for $1, $2 and so on")
    return [_param(value) for value in params or ()]


def _param(value: object) -> pa.Array[Any]:
    if isinstance(value, pa.Scalar):
        typed: pa.Array[Any] = pa.array([value.as_py()], type=value.type)
        return typed
    if is_vector(value):
        floats = memoryview(vector_bytes(value)).cast("f").tolist()
        return pa.array([floats], type=pa.list_(pa.float32()))
    try:
        found: pa.Array[Any] = pa.array([value])
        return found
    except pa.ArrowException as error:
        raise InvalidError(f"parameter {value!r}: {error}") from error


def literal(value: Any) -> str:
    """A Python value as SQL writes it."""
    import datetime
    import decimal
    import math

    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, float) and not math.isfinite(value):
        return f"CAST('{value}' AS DOUBLE)"
    if isinstance(value, (int, float, decimal.Decimal)):
        return repr(value) if not isinstance(value, decimal.Decimal) else format(value, "f")
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, datetime.datetime):
        return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
    if isinstance(value, datetime.date):
        return f"DATE '{value.isoformat()}'"
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return literal(value.item())
    raise InvalidError(
        f"a {type(value).__name__} has no literal in SQL; use values_sql, or upsert or replace the rows"
    )
