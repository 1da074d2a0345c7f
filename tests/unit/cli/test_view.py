"""The live view as it is drawn."""

from __future__ import annotations

import io

from rich.console import Console

from driftloop.cli.view import render
from driftloop.client.live import LiveState
from driftloop.contracts.model_pb2 import ModelReleased
from driftloop.contracts.pulse_pb2 import Live
from driftloop.statistics import PROBABILITY_BINS as POSITIVE
from tests.unit.client.test_live import a_bucket, pairs
from tests.unit.client.world import T, a_drift


def test_a_foretold_number_is_shown_with_its_own_loss() -> None:
    state = LiveState("sums")
    bucket = a_bucket(0, b"", 2.5, 10, b"", 9.0)
    bucket.metric = "squared_error"
    state.on_statistics(bucket)

    said = drawn(state)

    assert "squared error" in said
    assert "log-loss" not in said
    assert "0.2500" in said
    assert "0.9000" in said


def drawn(state: LiveState) -> str:
    console = Console(width=110, file=io.StringIO(), record=True)
    console.print(render(state.snapshot()))
    return console.export_text()


def test_an_empty_view_promises_nothing() -> None:
    text = drawn(LiveState("small"))

    assert "driftloop · small" in text
    assert "no model yet" in text
    assert "no drift seen yet" in text


def test_all_that_is_known_is_drawn() -> None:
    state = LiveState("small")
    state.on_live(
        Live(
            pipeline="small",
            watermark_us=T,
            rows_per_s={"features": 3127.4},
            lag_records={"serving": 12},
            latency_p50_ms=54,
            latency_p99_ms=142,
            trouble={"training": "no space"},
        )
    )
    state.on_released(ModelReleased(version=4))
    state.on_statistics(
        a_bucket(
            0,
            pairs((100, 5), (POSITIVE + 900, 5)),
            2.5,
            10,
            pairs((900, 5), (POSITIVE + 100, 5)),
            9.0,
        )
    )
    state.on_drift("drift-1", a_drift())

    text = drawn(state)

    for wanted in (
        "2013-04-02 00:00",
        "small@4",
        "54 / 142 ms",
        "1.0000",
        "0.2500",
        "3,127",
        "12",
        "log_loss 0.560",
        "no retrain asked for yet",
        "training: no space",
    ):
        assert wanted in text, wanted
