"""The timeline of `explain`: in order, tied together by ids, with the gate's numbers."""

from __future__ import annotations

import pytest

from driftloop.client import Refused
from driftloop.client.story import timeline, verdict_says
from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import Metrics, ModelEvaluated, Verdict
from driftloop.kit.broker import Record
from driftloop.kit.events import Event
from tests.contract import examples
from tests.unit.client.world import a_client, a_log, a_story, said


def test_the_steps_of_one_cause_share_a_thread() -> None:
    broker = a_log()
    broker.append(a_story())

    steps = a_client(broker).explain("small")

    assert {step.kind for step in steps if step.thread == "request-1"} == {
        "drift",
        "requested",
        "accepted",
        "released",
        "finished",
    }
    assert [step.says for step in steps if step.thread == "request-2"][
        -1
    ] == "suppressed (cooldown)"
    assert (
        "realised log_loss 0.560 against 0.430 (PageHinkley, threshold 500) on 800 rows"
        in steps[0].says
    )


def test_a_judgement_shows_its_numbers() -> None:
    verdict = Verdict(
        name="all",
        metrics=Metrics(auc=0.79, log_loss=0.43, rows=5000),
        gain=0.0112,
        gain_low=0.0061,
        p_value=0.002,
        eligible=True,
    )
    message = ModelEvaluated(
        run_id="run-1",
        pipeline="small",
        verdicts=[verdict],
        champion_version=3,
        winner="all",
        outcome="released",
        rule="bootstrap",
    )
    broker = a_log()
    broker.append([said(topics.MODEL_EVALUATED, message, "evaluated-1")])

    step = a_client(broker).explain("small")[0]

    assert step.says == "judged against version 3: released, all wins"
    assert step.details == [
        "rule: bootstrap",
        "all: AUC 0.7900, log-loss 0.4300, 5,000 rows; gain +0.0112, at least +0.0061, p 0.002: "
        "eligible",
    ]
    assert step.numbers["all.gain_low"] == 0.0061
    assert verdict_says(verdict) in step.details


def test_every_example_of_a_control_topic_becomes_a_step_or_none() -> None:
    record = Record("t", 0, 0, None, b"", (), 1)
    events = [Event(path.stem, 1, examples.message(path), record) for path in examples.paths()]

    kinds = [step.kind for step in timeline(events)]

    assert kinds == [
        "drift",
        "requested",
        "requested",
        "accepted",
        "trained",
        "judged",
        "released",
        "finished",
        "swapped",
    ]


def test_another_pipelines_events_are_not_told() -> None:
    broker = a_log()
    broker.append(a_story())

    with pytest.raises(Refused, match="no pipeline other; there are small"):
        a_client(broker).explain("other")
