"""Transform and Lookup, asked by gRPC of a task that holds its windows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import grpc
import numpy as np
import pytest

from driftloop.contracts.pulse_pb2 import LoopPulse, Pulse
from driftloop.contracts.transform_pb2 import LookupRequest, TransformRequest
from driftloop.contracts.transform_pb2_grpc import (
    FeatureStoreStub,
    add_FeatureStoreServicer_to_server,
)
from driftloop.kit.rpc import channel, serve
from services.features.handlers import Shelf
from services.features.owners import Owners
from services.features.rpc import FeatureStore
from tests.unit.features.world import GENERATION, World
from tests.unit.spec.windows_reference import Event

A_ROW = {"id": "a", "t": "1970-01-01T00:00:00.000100Z", "shop": 1, "kind": 0, "x": 2.5}


@pytest.fixture
def world() -> World:
    world = World()
    world.records([Event(1, 40, 1, 1, 0, 2.0), Event(1, 60, 2, 1, 0, 4.0)])
    world.windows().drain()
    return world


@pytest.fixture
def store(world: World) -> Iterator[FeatureStoreStub]:
    with answering(FeatureStore(world.shelf, nobody, is_declared, rows_max=10)) as stub:
        yield stub


def nobody(pipeline: str) -> None:
    """No other replica is known."""


def is_declared(pipeline: str) -> bool:
    return pipeline == "reference"


@contextmanager
def answering(store: FeatureStore) -> Iterator[FeatureStoreStub]:
    """One replica's door."""
    server = serve([partial(add_FeatureStoreServicer_to_server, store)], "127.0.0.1", 0)
    with channel(f"127.0.0.1:{server.port}") as to:
        yield FeatureStoreStub(to)
    server.stop(0.0)


def test_a_raw_row_becomes_the_vector_that_the_loop_would_write(
    world: World, store: FeatureStoreStub
) -> None:
    reply = store.Transform(TransformRequest(pipeline="reference", rows=[json.dumps(A_ROW)]))
    world.records([Event(0, 100, 9, 1, 0, 2.5)])
    world.windows().drain()

    assert np.array(reply.rows[0].vector, np.float32).tobytes() == world.features()["row-9"][0]
    assert tuple(reply.names) == GENERATION.program.names
    assert (reply.generation, reply.sequence) == (1, 2)
    ages = {age.feature: age.seconds for age in reply.rows[0].ages if age.HasField("seconds")}
    assert ages["newest"] == pytest.approx(40e-6)
    assert "waiting" not in ages


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "row 0 is not JSON"),
        ("[]", "row 0 is a list, wanted a JSON object"),
        (json.dumps({**A_ROW, "id": None}), "row 0: id is missing, wanted a string"),
        (json.dumps({**A_ROW, "x": "2"}), "row 0: x is '2', wanted a float?"),
        (json.dumps({**A_ROW, "shop": 1.5}), "row 0: shop is 1.5, wanted a int?"),
        (json.dumps({**A_ROW, "t": "noon"}), "row 0: t is 'noon', wanted an RFC 3339 time"),
    ],
)
def test_a_wrong_row_is_refused_by_what_was_found_and_what_is_wanted(
    store: FeatureStoreStub, row: str, said: str
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        store.Transform(TransformRequest(pipeline="reference", rows=[row]))

    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert said in (error.value.details() or "")


def test_a_declared_pipeline_that_nobody_runs_yet_is_to_be_asked_about_again() -> None:
    with answering(FeatureStore(Shelf(), nobody, is_declared, rows_max=10)) as starting:
        with pytest.raises(grpc.RpcError) as transform:
            starting.Transform(TransformRequest(pipeline="reference", rows=["{}"]))
        with pytest.raises(grpc.RpcError) as look_up:
            starting.Lookup(LookupRequest(pipeline="reference", entity="shop", key=["1"]))

    assert transform.value.code() == grpc.StatusCode.UNAVAILABLE
    assert look_up.value.code() == grpc.StatusCode.UNAVAILABLE


def test_a_pipeline_that_is_not_declared_is_not_found(store: FeatureStoreStub) -> None:
    with pytest.raises(grpc.RpcError) as error:
        store.Transform(TransformRequest(pipeline="other", rows=["{}"]))

    assert error.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_replica_without_the_windows_passes_a_question_on_to_who_holds_them(
    store: FeatureStoreStub,
) -> None:
    asked = TransformRequest(pipeline="reference", rows=[json.dumps(A_ROW)])
    key = LookupRequest(pipeline="reference", entity="shop", key=["1"], at_us=70)

    with answering(
        FeatureStore(Shelf(), lambda pipeline: store, is_declared, rows_max=10)
    ) as other:
        assert other.Transform(asked) == store.Transform(asked)
        assert other.Lookup(key) == store.Lookup(key)
        with pytest.raises(grpc.RpcError) as error:
            other.Transform(TransformRequest(pipeline="reference", rows=["no row"]))

    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_question_is_passed_on_once_and_then_to_be_asked_again() -> None:
    known: list[FeatureStoreStub] = []
    elsewhere = lambda pipeline: known[0]  # noqa: E731
    with (
        answering(FeatureStore(Shelf(), elsewhere, is_declared, rows_max=10)) as one,
        answering(FeatureStore(Shelf(), lambda pipeline: one, is_declared, rows_max=10)) as other,
    ):
        known.append(other)
        with pytest.raises(grpc.RpcError) as error:
            one.Transform(TransformRequest(pipeline="reference", rows=["{}"]))

    assert error.value.code() == grpc.StatusCode.UNAVAILABLE


def test_who_holds_the_windows_is_who_pulsed_so_last() -> None:
    owners = Owners()
    owners.heard(a_pulse("one:1", "running"), 1.0)
    assert owners.of("reference", 2.0) == "one:1"
    owners.heard(a_pulse("two:2", "waiting"), 2.0)
    assert owners.of("reference", 2.0) == "one:1"
    owners.heard(a_pulse("two:2", "running"), 3.0)
    owners.heard(a_pulse("one:1", "waiting"), 3.5)
    assert owners.of("reference", 4.0) == "two:2"
    assert owners.of("reference", 9.0) is None  # it fell silent
    owners.heard(a_pulse("two:2", "running", ended=True), 9.0)
    assert owners.of("reference", 9.0) is None


def test_a_replica_that_was_silent_for_a_minute_is_told_gone_once() -> None:
    owners = Owners()
    owners.heard(a_pulse("one:1", "running"), 0.0)
    owners.heard(a_pulse("two:2", "waiting"), 30.0)
    assert owners.gone(60.0) == []
    assert owners.gone(61.0) == ["one:1"]
    assert owners.gone(62.0) == []


def a_pulse(address: str, state: str, *, ended: bool = False) -> Pulse:
    loop = LoopPulse(loop="windows-reference", pipeline="reference", state=state)
    return Pulse(service="features", address=address, loops=[loop], ended=ended)


def test_a_lookup_answers_by_the_values_of_the_key(store: FeatureStoreStub) -> None:
    found = store.Lookup(LookupRequest(pipeline="reference", entity="shop", key=["1"], at_us=70))
    stranger = store.Lookup(LookupRequest(pipeline="reference", entity="shop", key=["7"]))

    assert found.found
    assert found.values["n"] == 2.0
    assert found.ages_s["newest"] == pytest.approx(10e-6)
    assert not stranger.found


def test_a_lookup_with_a_wrong_key_is_refused(store: FeatureStoreStub) -> None:
    for key, said in ((["x"], "shop is 'x'"), (["1", "2"], "key has 2 values, wanted 1")):
        with pytest.raises(grpc.RpcError) as error:
            store.Lookup(LookupRequest(pipeline="reference", entity="shop", key=key))
        assert said in (error.value.details() or "")
