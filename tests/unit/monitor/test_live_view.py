"""What the live view makes of pulses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from driftloop.contracts.pulse_pb2 import LoopPulse, Pulse
from services.monitor.live_view import Seen, deafness, lives, quantile, snapshot

NOW_MS = 1_000_000


def a_pulse(
    service: str = "serving",
    replica: str = "serving-0",
    at_ms: int = NOW_MS,
    started_ms: int = 1,
    rows: int = 0,
    loop: str = "score-flights",
    pipeline: str = "flights",
    latency: tuple[int, ...] = (),
    **fields: Any,
) -> Pulse:

    one = LoopPulse(loop=loop, pipeline=pipeline, rows_in=rows, latency_ms=latency, **fields)
    return Pulse(service=service, replica=replica, at_ms=at_ms, started_ms=started_ms, loops=[one])


def seen(newest: Pulse, older: Pulse | None = None) -> Seen:
    return Seen(snapshot(newest), None if older is None else snapshot(older))


def test_a_snapshot_survives_json() -> None:
    one = snapshot(a_pulse(rows=5, latency=(1, 2)))
    assert json.loads(json.dumps(one)) == one


def test_rates_are_differences_of_two_pulses_added_over_replicas() -> None:
    first = seen(a_pulse(rows=1500), a_pulse(rows=500, at_ms=NOW_MS - 10_000))
    second = seen(
        a_pulse(replica="serving-1", rows=200), a_pulse(replica="serving-1", at_ms=NOW_MS - 5_000)
    )
    (live,) = lives([first, second], NOW_MS)
    assert dict(live.rows_per_s) == {"serving": 140.0}
    assert dict(live.replicas) == {"serving": 2}


def test_loops_of_a_service_see_the_same_rows_and_are_not_added() -> None:
    pulses = []
    for at_ms, rows in ((NOW_MS, 100), (NOW_MS - 1_000, 0)):
        pulse = a_pulse("features", at_ms=at_ms, rows=rows, loop="windows", lag_records=2)
        pulse.loops.append(
            LoopPulse(loop="join", pipeline="flights", rows_in=rows // 2, lag_records=3)
        )
        pulses.append(pulse)
    (live,) = lives([seen(*pulses)], NOW_MS)
    assert dict(live.rows_per_s) == {"features": 100.0}
    assert dict(live.lag_records) == {"features": 5}


def test_a_restart_begins_anew() -> None:
    older = a_pulse(rows=900, at_ms=NOW_MS - 5_000, started_ms=1)
    (live,) = lives([seen(a_pulse(rows=10, started_ms=2), older)], NOW_MS)
    assert dict(live.rows_per_s) == {"serving": 0.0}


def test_the_newest_version_watermark_and_latency_are_servings() -> None:
    older = a_pulse(at_ms=NOW_MS - 5_000, latency=(0, 100, 7))
    newest = a_pulse(latency=(0, 100, 107), model_version=7, watermark_us=50)
    ingestion = a_pulse("ingestion", "ingestion-0", watermark_us=90)
    (live,) = lives([seen(newest, older), seen(ingestion)], NOW_MS)
    assert (live.model_version, live.watermark_us) == (7, 50)
    assert 2 <= live.latency_p50_ms <= live.latency_p99_ms <= 4


def test_a_failed_loop_and_a_silent_process_are_trouble() -> None:
    failed = a_pulse("features", "features-0", state="failed", error="malformed: x", loop="windows")
    silent = a_pulse("monitor", "monitor-0", at_ms=NOW_MS - 7_500)
    (live,) = lives([seen(failed), seen(silent)], NOW_MS)
    assert dict(live.trouble) == {
        "features": "windows failed: malformed: x",
        "monitor": "no pulse for 7 s",
    }
    assert dict(live.replicas) == {"features": 1}


def test_what_was_silent_for_a_minute_is_gone() -> None:
    assert lives([seen(a_pulse(at_ms=NOW_MS - 60_000))], NOW_MS) == []


def test_each_pipeline_has_its_own_and_loops_without_one_are_in_all() -> None:
    pulses = [
        a_pulse(pipeline="flights.g1"),
        a_pulse(replica="serving-1", pipeline="sea"),
        a_pulse("registry", "registry-0", pipeline="", lag_records=4),
    ]
    flights, sea = lives([seen(pulse) for pulse in pulses], NOW_MS)
    assert (flights.pipeline, sea.pipeline) == ("flights", "sea")
    assert flights.lag_records["registry"] == sea.lag_records["registry"] == 4


@pytest.mark.parametrize(
    ("histogram", "share", "wanted"),
    [([], 0.5, 0.0), ([4], 0.5, 0.5), ([0, 2, 2], 0.5, 2.0), ([0, 0, 0, 100], 0.99, 7.96)],
)
def test_quantiles_are_linear_within_a_bucket(
    histogram: list[int], share: float, wanted: float
) -> None:
    assert quantile(histogram, share) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("heard_s", "trouble"),
    [(None, "no pulse yet"), (100.0, ""), (70.0, ""), (69.0, "no pulse for 31 s")],
)
def test_it_is_well_as_long_as_it_hears_pulses(heard_s: float | None, trouble: str) -> None:
    assert deafness(heard_s, now_s=100.0) == trouble
