"""The flights as events: the pitfalls of the data, each seen."""

from __future__ import annotations

import json

import polars as pl
import pytest

from infra.demo import faults
from infra.demo.flights import (
    DEPARTURES,
    LANDINGS,
    SCHEDULE,
    STREAMS,
    WEATHER,
    events,
    flights_of_2013,
)


@pytest.fixture(scope="module")
def flights() -> pl.DataFrame:
    return flights_of_2013()


@pytest.fixture(scope="module")
def sixty_days() -> pl.DataFrame:
    return events(60)


def test_every_flight_has_an_id_of_its_own(flights: pl.DataFrame) -> None:
    assert flights.height == 336_776
    assert flights.select("day", "carrier", "flight", "origin", "dest").n_unique() == 336_776


def test_flights_without_arrival_delay_have_no_landing(flights: pl.DataFrame) -> None:
    assert flights["landed"].count() == 327_346
    assert flights["departed"].count() == 328_521


def test_a_flight_that_left_early_departs_at_its_scheduled_time(flights: pl.DataFrame) -> None:
    early = flights.filter(pl.col("dep_delay") < 0)
    assert early.height > 100_000
    assert (early["departed"] == early["scheduled"]).all()


def test_no_flight_lands_before_it_has_departed(flights: pl.DataFrame) -> None:
    assert flights.filter(pl.col("landed") <= pl.col("departed")).is_empty()


def test_the_delay_of_labels_is_the_known_one(flights: pl.DataFrame) -> None:
    minutes = (flights["landed"] - flights["scheduled"]).dt.total_minutes().drop_nulls()
    assert (minutes.median(), minutes.max()) == (170.0, 1_962)


def test_blocks_are_of_plausible_length_over_time_zones_and_midnight(flights: pl.DataFrame) -> None:
    assert flights["block_minutes"].is_between(45, 720).all()
    honolulu = flights.filter(pl.col("dest") == "HNL")["block_minutes"]
    assert honolulu.median() == pytest.approx(650, abs=30)


def test_airports_without_a_zone_get_theirs(flights: pl.DataFrame) -> None:
    for airport in ("SJU", "BQN", "STT", "PSE"):
        assert flights.filter(pl.col("dest") == airport)["block_minutes"].is_between(190, 280).all()


def test_events_come_in_event_time_order_and_hold_their_own_time(sixty_days: pl.DataFrame) -> None:
    assert sixty_days["time"].is_sorted()
    for stream, field in (
        (SCHEDULE, "sched_dep"),
        (DEPARTURES, "time"),
        (LANDINGS, "time"),
        (WEATHER, "time"),
    ):
        rows = sixty_days.filter(pl.col("stream") == STREAMS.index(stream)).head(200)
        told = [json.loads(value)[field] for value in rows["value"]]
        assert told == rows["time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ").to_list()


def test_days_take_the_flights_scheduled_then_and_what_follows_from_them(
    sixty_days: pl.DataFrame,
) -> None:
    scheduled, landed = (
        set(sixty_days.filter(pl.col("stream") == STREAMS.index(stream))["key"])
        for stream in (SCHEDULE, LANDINGS)
    )
    assert len(scheduled) == 52_913
    assert landed < scheduled


def test_the_weather_of_an_hour_is_known_an_hour_later(sixty_days: pl.DataFrame) -> None:
    first = sixty_days.filter(pl.col("stream") == STREAMS.index(WEATHER)).row(0, named=True)
    assert (
        json.loads(first["value"])["time"] == "2013-01-01T07:00:00Z"
    )  # observed in the hour from 06:00


def test_faults_are_a_handful_of_each_kind_right_at_their_events(sixty_days: pl.DataFrame) -> None:
    made = faults.faults(sixty_days)
    kinds = dict(made.group_by("fault").len().iter_rows())
    assert set(kinds.values()) == {faults.EVERY}
    assert set(faults.BROKEN) < set(kinds)
    doubled = made.filter(pl.col("fault") == faults.DOUBLED)
    assert doubled.join(sixty_days, on=["time", "key", "value"], how="anti").is_empty()
