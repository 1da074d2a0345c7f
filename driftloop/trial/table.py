"""A table from a file. Columns keep what the file says of their types; text that is something else
is found out by `guess`.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from driftloop.kit.errors import Refused

ROWS_MIN = 200  # fewer can't be learnt from and judged
NULLS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")
FORMATS = "a .csv (.csv.gz, .tsv) or a .parquet file with a header"


def read(path: Path) -> pl.DataFrame:
    """Refused: no such file, not a table, no rows to speak of."""
    if not path.is_file():
        raise Refused(f"{path}: no such file")
    frame = _read(path)
    if frame.height < ROWS_MIN:
        raise Refused(f"{path}: {frame.height} rows; wanted at least {ROWS_MIN} to learn from")
    return frame


def _read(path: Path) -> pl.DataFrame:
    names = path.name.lower()
    try:
        if names.endswith((".parquet", ".pq")):
            return pl.read_parquet(path)
        if names.removesuffix(".gz").endswith((".csv", ".tsv", ".txt")):
            return pl.read_csv(
                path,
                separator="\t" if ".tsv" in names else _separator(path),
                null_values=list(NULLS),
                infer_schema_length=None,  # a float in the last row makes the column float
                try_parse_dates=False,
            )
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise Refused(f"{path}: {str(error).splitlines()[0]}; wanted {FORMATS}") from error
    raise Refused(f"{path}: found {path.suffix or 'no ending'}, wanted {FORMATS}")


def _separator(path: Path) -> str:
    """Of the header line: a comma, unless it has none and has semicolons or tabs."""
    head = pl.read_csv(path, has_header=False, n_rows=1, separator="\x01", quote_char=None)
    line = str(head.item(0, 0)) if head.width and head.height else ""
    return max((",", ";", "\t"), key=line.count)
