"""When each row happened: instants from whatever a column holds, or from the order of the rows."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from driftloop.kit.errors import Refused

ROWS = "rows"  # instead of a column: a row a minute, in the order of the table
START_US = 1_704_067_200_000_000  # 2024-01-01, where such rows begin
STEP_US = 60_000_000
MISSING_SHARE_MAX = 0.01  # of rows without a time: more, and it is the wrong column
UNREADABLE_SHARE_MAX = 0.2  # of texts that a format may leave: more, and it is another format
EPOCHS = (("ns", 1e17, 1e-3), ("us", 1e14, 1.0), ("ms", 1e11, 1e3), ("s", 1e8, 1e6))
FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
    "%Y%m%d",
)
DURATIONS = (
    ("1s", 1), ("5s", 5), ("10s", 10), ("30s", 30), ("1m", 60), ("5m", 300), ("10m", 600),
    ("30m", 1_800), ("1h", 3_600), ("2h", 7_200), ("6h", 21_600), ("12h", 43_200), ("1d", 86_400),
    ("2d", 172_800), ("7d", 604_800), ("14d", 1_209_600), ("28d", 2_419_200), ("91d", 7_862_400),
    ("365d", 31_536_000),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Times:
    """`us`: int64, µs since 1970 in UTC; null where a row has none that can be read."""

    us: pl.Series
    says: str
    missing: int

    @property
    def span_us(self) -> int:
        """From the first to the last."""
        first, last = self.us.min(), self.us.max()
        assert isinstance(first, int), first
        assert isinstance(last, int), last
        return last - first

    @staticmethod
    def nice(us: int) -> int:
        """The largest duration of people's that is not longer; at least a second."""
        fits = [seconds for _, seconds in DURATIONS if seconds * 1_000_000 <= us]
        return max(fits, default=1) * 1_000_000


def instants(frame: pl.DataFrame, column: str) -> Times:
    """Refused: no instants are found there."""
    if column == ROWS and ROWS not in frame.columns:
        us = pl.int_range(frame.height, eager=True, dtype=pl.Int64) * STEP_US + START_US
        return Times(us, "the order of the rows: a row a minute from 2024-01-01 on", 0)
    series = frame[column]
    us, says = _read(series)
    missing = us.null_count()
    if missing > MISSING_SHARE_MAX * len(us):
        raise Refused(
            f"--time {column}: {missing:,} of {len(us):,} rows have no instant that can be read "
            f"({_example(series, us)}); wanted ISO 8601, seconds since 1970, or `--time rows` for "
            "the order of the rows"
        )
    if us.n_unique() < 2:
        raise Refused(f"--time {column}: all rows have the same instant")
    return Times(us, says, missing)


def _read(series: pl.Series) -> tuple[pl.Series, str]:
    if series.dtype == pl.Date or isinstance(series.dtype, pl.Datetime):
        return _us(
            series.cast(pl.Datetime("us", getattr(series.dtype, "time_zone", None)))
        ), "as the file types it"
    if series.dtype.is_numeric():
        return _epoch(series.cast(pl.Float64))
    if series.dtype == pl.String:
        return _text(series.str.strip_chars())
    return pl.Series(series.name, [None] * len(series), pl.Int64), "nothing"


def _epoch(series: pl.Series) -> tuple[pl.Series, str]:
    """Numbers since 1970 in the unit that their size tells, from 1973 on."""
    typical = series.abs().median()
    for unit, least, us in EPOCHS:
        if isinstance(typical, float) and typical >= least:
            found = (series * us).round().cast(pl.Int64, strict=False)
            return found, f"{unit} since 1970"
    return pl.Series(series.name, [None] * len(series), pl.Int64), "no instants"


def _text(series: pl.Series) -> tuple[pl.Series, str]:
    """By the first format that reads nearly all; day before month where both could be."""
    numbers = series.cast(pl.Float64, strict=False)
    if numbers.null_count() == series.null_count():
        compact = series.str.len_chars().drop_nulls().unique().to_list() == [8]
        if not compact:
            return _epoch(numbers)
    zoned = series.str.to_datetime(time_unit="us", time_zone="UTC", strict=False, format="%+")
    if _reads(zoned, series):
        return _us(zoned), "ISO 8601 with a zone"
    for format_ in FORMATS:
        if format_ in ("%Y-%m-%d", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y%m%d"):
            found = series.str.to_date(format_, strict=False).cast(pl.Datetime("us"))
        else:
            found = series.str.to_datetime(format_, time_unit="us", strict=False)
        if _reads(found, series):
            return _us(found), f"as {format_}, taken as UTC"
    return pl.Series(series.name, [None] * len(series), pl.Int64), "no instants"


def _reads(found: pl.Series, series: pl.Series) -> bool:
    lost = found.null_count() - series.null_count()
    return lost <= UNREADABLE_SHARE_MAX * max(1, len(series)) and found.null_count() < len(found)


def _us(series: pl.Series) -> pl.Series:
    return series.dt.epoch("us").cast(pl.Int64)


def _example(series: pl.Series, us: pl.Series) -> str:
    lost = series.filter(us.is_null())
    texts = [repr(value) for value in lost.head(2).to_list()]
    return f"e.g. {', '.join(texts)}"
