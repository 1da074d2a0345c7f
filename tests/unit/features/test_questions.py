"""Transform and Lookup, asked by gRPC of a task that holds its windows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

import grpc
import numpy as np
import pytest

from driftloop.contracts.transform_pb2 import LookupRequest, TransformRequest
from driftloop.contracts.transform_pb2_grpc import (
    FeatureStoreStub,
    add_FeatureStoreServicer_to_server,
)
from driftloop.kit.rpc import channel, serve
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
    add = partial(add_FeatureStoreServicer_to_server, FeatureStore(world.shelf, rows_max=10))
    server = serve([add], "127.0.0.1", 0)
    with channel(f"127.0.0.1:{server.port}") as to:
        yield FeatureStoreStub(to)
    server.stop()


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


def test_a_replica_without_the_task_says_so(store: FeatureStoreStub) -> None:
    with pytest.raises(grpc.RpcError) as error:
        store.Transform(TransformRequest(pipeline="other", rows=["{}"]))

    assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION


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
