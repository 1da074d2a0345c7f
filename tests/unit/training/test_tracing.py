"""A run is part of its turn's trace, whoever asked for it, also after a crash."""

from __future__ import annotations

from dataclasses import replace

import pytest

from driftloop.contracts import topics
from driftloop.contracts.retrain_pb2 import RetrainRequested
from driftloop.kit.topic import Emit
from driftloop.kit.trace import bound, parse, passed_on, render, root
from services.training.jobs import Train
from tests.support.traced import Kept
from tests.unit.training.stories import House, request

GIVEN = render(root("a caller's own", sampled=True))
ANSWERED, TRAINED = topics.RETRAIN_RESOLVED.topic().name, topics.MODEL_TRAINED.topic().name
TOLD = (ANSWERED, TRAINED, topics.TRAINING_PROGRESS.topic().name)


def under(traceparent: str, emit: Emit) -> Emit:
    return replace(emit, headers=[*emit.headers, ("traceparent", traceparent.encode())])


def by_monitor(emit: Emit) -> Emit:
    return replace(emit, value=(emit.value or b"").replace(b"{", b'{"by": "monitor", ', 1))


def carried(house: House) -> set[str]:
    """The traceparents of all that was said of the run."""
    return {passed_on(record.headers) for topic in TOLD for record in house.log(topic)}


def test_the_monitors_turn_is_carried_on_and_the_fits_are_under_train() -> None:
    tracer = Kept()
    house = House(tracer)
    house.run(under(GIVEN, by_monitor(request())))
    assert carried(house) == {GIVEN}
    (train,) = tracer.named("train")
    context = parse(GIVEN)
    assert context is not None
    assert (train.trace_id.hex(), train.parent_id.hex()) == (context.trace_id, context.span_id)
    assert train.attributes["driftloop.outcome"] == "trained"
    steps = [span for span in tracer.spans if span.parent_id == train.span_id]
    assert [span.name for span in steps] == ["read", "fit", "export", "upload"]
    assert tracer.named("turn") == []


def test_a_request_of_no_trace_begins_one_whose_root_is_the_turn() -> None:
    tracer = Kept()
    house = House(tracer)
    house.run(request())
    (turn,), (text,) = tracer.named("turn"), carried(house)
    assert text == f"00-{turn.trace_id.hex()}-{turn.span_id.hex()}-01"
    assert (turn.parent_id, turn.attributes["driftloop.trigger"]) == (b"", "manual")
    assert tracer.named("train")[0].parent_id == turn.span_id


def test_a_request_of_someones_own_trace_is_a_turn_under_it() -> None:
    tracer = Kept()
    house = House(tracer)
    house.run(under(GIVEN, request()))
    (turn,), (text,) = tracer.named("turn"), carried(house)
    context = parse(GIVEN)
    assert context is not None
    assert (turn.trace_id.hex(), turn.parent_id.hex()) == (context.trace_id, context.span_id)
    assert text == f"00-{turn.trace_id.hex()}-{turn.span_id.hex()}-01"


def test_a_call_hands_its_trace_to_the_request_that_it_makes() -> None:
    house = House(Kept())
    message = RetrainRequested(pipeline="sea", trigger="manual", by="me")
    with bound(GIVEN):
        house.inbox.submit(Train("by-call", message, GIVEN))
    house.run()
    (asked,) = house.log(topics.RETRAIN_REQUESTED.topic().name)
    assert passed_on(asked.headers) == GIVEN
    assert len(house.trained()) == 1


@pytest.mark.parametrize("given", ["", GIVEN])
def test_a_run_goes_on_in_its_trace_after_a_crash(given: str) -> None:
    tracer = Kept()
    house = House(tracer)
    house.foundry.may_end = False
    house.run(under(given, request()) if given else request())
    (before,) = {passed_on(record.headers) for record in house.log(ANSWERED)}
    house.foundry.may_end = True
    house.crash()
    house.run()
    (record,) = house.log(TRAINED)
    assert passed_on(record.headers) == before
    assert len(tracer.named("turn")) == len(tracer.named("train")) == 1


def test_with_tracing_off_the_header_is_there_for_the_logs_and_is_not_sampled() -> None:
    house = House()
    house.run(request())
    (text,) = carried(house)
    context = parse(text)
    assert context is not None and not context.sampled
