"""Control events: JSON that anyone may write, read strictly."""

from __future__ import annotations

import json

import pytest

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import Candidate, ModelTrained
from driftloop.contracts.pulse_pb2 import Pulse
from driftloop.contracts.retrain_pb2 import RetrainRequested
from driftloop.kit.broker import Record
from driftloop.kit.errors import Malformed
from driftloop.kit.events import event, read_event
from driftloop.kit.topic import Emit

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def a_record(
    value: bytes | None, headers: tuple[tuple[str, bytes], ...] = (), topic: str = "driftloop.x"
) -> Record:
    return Record(topic, 0, 7, b"flights", value, headers, 1_700_000_000_123)


def delivered(emit: Emit) -> Record:
    return a_record(emit.value, tuple(emit.headers), emit.topic)


def test_an_event_comes_back_with_its_id_and_trace() -> None:
    message = RetrainRequested(pipeline="flights", generation=1, trigger="manual", reason="why not")
    sent = event(
        topics.RETRAIN_REQUESTED.topic(),
        message,
        id="request-1",
        source="/driftloop/cli",
        time_ms=1_700_000_000_123,
        key="flights",
        traceparent=TRACE,
    )
    read = read_event(delivered(sent), RetrainRequested)
    assert (read.id, read.message, read.traceparent) == ("request-1", message, TRACE)
    assert read.time_ms == 1_700_000_000_123


def test_people_read_snake_case_json_and_cloudevents_headers() -> None:
    message = ModelTrained(run_id="r", candidates=[Candidate(name="a", fit_s=1.5)])
    sent = event(
        topics.MODEL_TRAINED.topic(), message, id="i", source="/s", time_ms=0, key="flights"
    )
    assert sent.value is not None
    assert json.loads(sent.value) == {
        "run_id": "r",
        "candidates": [{"name": "a", "fit_s": 1.5}],
    }
    assert dict(sent.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": b"i",
        "ce_type": b"driftloop.v1.ModelTrained",
        "ce_source": b"/s",
        "ce_time": b"1970-01-01T00:00:00.000Z",
        "content-type": b"application/json",
    }


def test_an_event_without_an_id_is_named_by_its_coordinates() -> None:
    assert read_event(a_record(b'{"pipeline": "p"}'), RetrainRequested).id == "driftloop.x-0-7"


def test_fields_of_a_newer_build_are_ignored_at_every_depth() -> None:
    loop = '{"loop": "l", "newer": [], "counts": {"x": 1}}'
    value = f'{{"service": "s", "new": {{"a": 1}}, "loops": [{loop}]}}'.encode()
    read = read_event(a_record(value), Pulse).message
    assert (read.loops[0].loop, dict(read.loops[0].counts)) == ("l", {"x": 1})


def test_camel_case_is_read_as_well() -> None:
    assert read_event(a_record(b'{"driftId": "d"}'), RetrainRequested).message.drift_id == "d"


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"generation": "x"}',
        b'{"generation": -1}',
        b'{"pipeline": 3}',
        b'{"evidence": 3}',
        b'{"evidence": {"value": NaN}}',
        b"[" * 100_000,
    ],
)
def test_what_is_wrong_is_malformed(value: bytes | None) -> None:
    with pytest.raises(Malformed, match=r"driftloop\.x-0-7"):
        read_event(a_record(value), RetrainRequested)


def test_an_unknown_enum_value_is_malformed() -> None:
    from google.protobuf.type_pb2 import Field

    assert read_event(a_record(b'{"kind": "TYPE_BOOL", "new": 1}'), Field).message.kind == 8
    with pytest.raises(Malformed):
        read_event(a_record(b'{"kind": "TYPE_NEW"}'), Field)
