"""The V2 doors over a real gRPC server, with real onnxruntime sessions behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from driftloop.contracts import inference_pb2 as v2
from driftloop.contracts.inference_pb2_grpc import (
    GRPCInferenceServiceStub,
    add_GRPCInferenceServiceServicer_to_server,
)
from driftloop.kit import envelope, rpc
from services.serving.calls import Call, Journal
from services.serving.rpc import Doors
from tests.support.eventually import eventually
from tests.unit.serving import stories
from tests.unit.serving.nets import a_model, digest
from tests.unit.serving.stories import House, some_vectors

FIRST, SECOND = a_model(1.0, -1.0, 0.5), a_model(0.1, 2.0, -0.5)


OUTPUT = v2.ModelInferRequest.InferRequestedOutputTensor
ONE = some_vectors(1)


def a_call(vectors: Any, *, raw: bool = False, **changes: Any) -> v2.ModelInferRequest:
    """A good request, but for `changes` of the request or of its input."""
    tensor = v2.ModelInferRequest.InferInputTensor(
        name=changes.pop("name", "features"),
        datatype=changes.pop("datatype", "FP32"),
        shape=changes.pop("shape", vectors.shape),
    )
    request = v2.ModelInferRequest(model_name="flights", inputs=[tensor])
    if raw:
        request.raw_input_contents.append(vectors.tobytes())
    else:
        request.inputs[0].contents.fp32_contents.extend(vectors.ravel().tolist())
    request.MergeFrom(v2.ModelInferRequest(**changes))
    return request


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    house.models.read_to_end()
    yield house
    house.models.stop()


@pytest.fixture
def journal(house: House) -> Iterator[Journal]:
    journal = Journal(house.broker, house.meter, calls_max=2)
    yield journal
    journal.stop()


@pytest.fixture
def stub(house: House, journal: Journal) -> Iterator[GRPCInferenceServiceStub]:
    doors = Doors(house.models, journal, house.broker.clock.ms, house.meter, call_rows_max=100)
    add = [lambda server: add_GRPCInferenceServiceServicer_to_server(doors, server)]
    server = rpc.serve(add, "127.0.0.1", 0)
    with rpc.channel(f"127.0.0.1:{server.port}") as channel:
        yield GRPCInferenceServiceStub(channel)
    server.stop(0)


def released(house: House) -> None:
    house.release(1, FIRST)
    eventually(lambda: house.standing.current is not None, 5)


@pytest.mark.parametrize("raw", [False, True])
def test_a_call_is_answered_as_the_model_answers_in_the_form_in_which_it_came(
    house: House, stub: GRPCInferenceServiceStub, raw: bool
) -> None:
    released(house)
    vectors = some_vectors(5)

    reply = stub.ModelInfer(a_call(vectors, raw=raw, id="q1"))

    assert house.standing.current is not None
    wanted = house.standing.current.network.run(vectors)
    shapes = [(o.name, o.datatype, list(o.shape)) for o in reply.outputs]
    assert shapes == [("probability", "FP32", [5, 2]), ("label", "INT64", [5])]
    if raw:
        found, labels = (
            np.frombuffer(reply.raw_output_contents[0], "<f4"),
            np.frombuffer(reply.raw_output_contents[1], "<i8"),
        )
    else:
        found = np.array(reply.outputs[0].contents.fp32_contents, np.float32)
        labels = np.array(reply.outputs[1].contents.int64_contents)
    assert found.tobytes() == wanted.tobytes()
    assert labels.tolist() == (wanted[:, 1] >= 0.5).astype(int).tolist()
    assert (reply.model_name, reply.model_version, reply.id) == ("flights", "1", "q1")


def test_only_the_outputs_asked_for_come_in_the_order_asked_for(
    house: House, stub: GRPCInferenceServiceStub
) -> None:
    released(house)

    reply = stub.ModelInfer(a_call(some_vectors(1), outputs=[OUTPUT(name="label")]))

    assert [o.name for o in reply.outputs] == ["label"]


def test_live_previous_and_baseline_answer_by_version(
    house: House, stub: GRPCInferenceServiceStub
) -> None:
    released(house)
    house.release(2, SECOND, baseline_version=1, baseline_digest=digest(FIRST))
    eventually(lambda: house.swaps == [1, 2], 5)
    vectors = some_vectors(3)

    by_version = {
        number: stub.ModelInfer(a_call(vectors, model_version=number)) for number in ("", "1", "2")
    }

    assert [r.model_version for r in by_version.values()] == ["2", "1", "2"]
    assert by_version[""].outputs[0] == by_version["2"].outputs[0] != by_version["1"].outputs[0]


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (a_call(ONE, name="x"), "found inputs x; wanted one input features: FP32 [rows, 3]"),
        (a_call(ONE, datatype="FP64"), "found features of datatype FP64; wanted"),
        (a_call(ONE, shape=[3]), "found features of shape [3]; wanted"),
        (a_call(ONE, shape=[1, 4]), "found features of shape [1, 4]; wanted"),
        (a_call(ONE, shape=[0, 3]), "found features of shape [0, 3]; wanted"),
        (a_call(ONE, shape=[-1, 3]), "found features of shape [-1, 3]; wanted"),
        (a_call(ONE, shape=[2, 3]), "found 3 fp32_contents, wanted 2 x 3"),
        (a_call(some_vectors(101)), "found 101 rows, wanted at most 100 a call"),
        (a_call(ONE, raw=True, shape=[2, 3]), "raw_input_contents of 12 bytes, wanted one of 24"),
        (a_call(ONE, raw_input_contents=[b"x" * 12]), "in contents and in raw_input_contents"),
        (v2.ModelInferRequest(model_name="flights"), "found inputs none; wanted one input"),
        (a_call(ONE, outputs=[OUTPUT(name="y")]), "found outputs y, wanted probability or label"),
    ],
)
def test_a_wrong_tensor_is_an_invalid_argument_that_names_what_was_expected(
    house: House, stub: GRPCInferenceServiceStub, request_: v2.ModelInferRequest, text: str
) -> None:
    released(house)

    error = _refused(lambda: stub.ModelInfer(request_))

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert text in error.details(), error.details()


def test_an_unknown_model_or_version_is_not_found_and_lists_what_there_is(
    house: House, stub: GRPCInferenceServiceStub
) -> None:
    released(house)

    name = _refused(lambda: stub.ModelInfer(a_call(some_vectors(1), model_name="fligths")))
    version = _refused(
        lambda: stub.ModelMetadata(v2.ModelMetadataRequest(name="flights", version="7"))
    )

    assert {name.code(), version.code()} == {grpc.StatusCode.NOT_FOUND}
    assert name.details().endswith("there is: flights")
    assert version.details().endswith("there is: 1")


def test_before_the_first_release_a_call_is_a_failed_precondition(
    stub: GRPCInferenceServiceStub,
) -> None:
    error = _refused(lambda: stub.ModelInfer(a_call(some_vectors(1))))

    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert not stub.ModelReady(v2.ModelReadyRequest(name="flights")).ready


def test_metadata_say_names_types_shapes_columns_and_provider(
    house: House, stub: GRPCInferenceServiceStub
) -> None:
    released(house)

    metadata = stub.ModelMetadata(v2.ModelMetadataRequest(name="flights"))

    (taken,) = metadata.inputs
    assert (taken.name, taken.datatype, list(taken.shape)) == ("features", "FP32", [-1, 3])
    assert [(o.name, o.datatype, list(o.shape)) for o in metadata.outputs] == [
        ("probability", "FP32", [-1, 2]),
        ("label", "INT64", [-1]),
    ]
    assert (list(metadata.versions), metadata.platform) == (["1"], "onnx_onnxruntime")
    assert metadata.properties["features"] == "a,b,c"
    assert metadata.properties["provider"] == "CPUExecutionProvider"
    assert stub.ModelReady(v2.ModelReadyRequest(name="flights")).ready
    assert stub.ServerLive(v2.ServerLiveRequest()).live
    assert stub.ServerReady(v2.ServerReadyRequest()).ready
    assert stub.ServerMetadata(v2.ServerMetadataRequest()).name == "driftloop"


def test_calls_are_logged_to_predictions_by_the_murmur2_of_their_id(
    house: House, stub: GRPCInferenceServiceStub, journal: Journal
) -> None:
    released(house)
    journal.start()

    stub.ModelInfer(a_call(some_vectors(1), id="one"))
    reply = stub.ModelInfer(a_call(some_vectors(4), id="many"))

    eventually(lambda: sum(m.rows for _, m in stories.predictions(house.broker)) == 5, 5)
    logged = stories.predictions(house.broker)
    found = {
        name: (partition, m) for partition, m in logged for name in stories.predicted(m)["event_id"]
    }
    assert set(found) == {"one", "many-0", "many-1", "many-2", "many-3"}
    assert {m.origin for _, m in found.values()} == {"call"}
    assert {m.version for _, m in found.values()} == {1}
    for name, (partition, _) in found.items():
        assert partition == envelope.partition_rows(stories.strings([name]), 2)[0]
    outputs = {
        name: row
        for _, m in logged
        for name, row in zip(stories.predicted(m)["event_id"], stories.outputs(m), strict=True)
    }
    wanted = np.array(reply.outputs[0].contents.fp32_contents, np.float32).reshape(4, 2)
    assert [outputs[f"many-{n}"] for n in range(4)] == wanted.tolist()


def test_a_call_that_no_topic_takes_is_dropped_counted_and_does_not_end_the_journal(
    house: House, stub: GRPCInferenceServiceStub, journal: Journal
) -> None:
    released(house)
    house.standing.counts.take()
    answering, vectors = house.standing.current, some_vectors(1)
    assert answering is not None
    answer = answering.answer(vectors, house.standing.plan)
    journal.add(Call(house.standing, answering, answer, ["x" * 2_000_000], vectors, 0))
    journal.start()
    eventually(lambda: house.standing.counts.take().get("calls_dropped") == 1, 5)
    stub.ModelInfer(a_call(some_vectors(1), id="one"))
    eventually(lambda: sum(m.rows for _, m in stories.predictions(house.broker)) == 1, 5)


def test_calls_beyond_the_journal_s_room_are_dropped_counted_and_still_answered(
    house: House, stub: GRPCInferenceServiceStub
) -> None:
    released(house)
    house.standing.counts.take()

    for _ in range(5):
        stub.ModelInfer(a_call(some_vectors(2)))  # the journal's thread is not started

    assert house.standing.counts.take() == {"calls": 10, "calls_dropped": 6}


def _refused(call: Callable[[], Any]) -> Any:
    """The RpcError of a call, which is a grpc.Call too."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value
