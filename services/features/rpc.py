"""Questions to features, answered from the windows that the loop is writing: nothing is counted.

A pipeline's windows are held by one replica; any other passes a question on to it, once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pyarrow as pa

from driftloop.contracts.transform_pb2 import (
    FeatureAge,
    LookupReply,
    LookupRequest,
    TransformedRow,
    TransformReply,
    TransformRequest,
)
from driftloop.contracts.transform_pb2_grpc import FeatureStoreServicer, FeatureStoreStub
from driftloop.kit.errors import Refused
from driftloop.kit.rpc import answers
from driftloop.spec.windows import Answers, Program
from services.features.codec import RecordsCodec, key_bits
from services.features.handlers import Held, Shelf
from services.features.questions import batch_of

ARROW_OF_KEY = {"string": pa.string(), "int": pa.int64(), "bool": pa.bool_(), "float": pa.float64()}
PASSED_ON = "driftloop-passed-on"  # in the metadata of a question that came from another replica
SECONDS_MAX = 10.0  # of a question that is passed on; its asker may have given less
TRUTHS = {"true": True, "false": False}


class FeatureStore(FeatureStoreServicer):
    """Transform and Lookup of proto/transform.proto."""

    def __init__(
        self,
        shelf: Shelf,
        elsewhere: Callable[[str], FeatureStoreStub | None],
        declared: Callable[[str], bool],
        *,
        rows_max: int,
    ) -> None:
        """`elsewhere`: the replica that holds a pipeline's windows, if it is known and not this.
        `declared`: is there such a pipeline, or is that not known yet?"""
        self._shelf, self._elsewhere, self._declared = shelf, elsewhere, declared
        self._rows_max = rows_max

    @answers
    def Transform(self, request: TransformRequest, context: grpc.ServicerContext) -> TransformReply:
        """A raw row in, the vector that it would get now out, with the age of each window."""
        held = self._shelf.of(request.pipeline)
        if held is None:
            passed_on, more = self._other(request.pipeline, context)
            return passed_on.Transform(request, **more)
        if not 0 < len(request.rows) <= self._rows_max:
            raise Refused(f"{len(request.rows)} rows, wanted 1 to {self._rows_max}")
        of = held.generation
        table = batch_of(of.pipeline, request.source, request.rows)
        batch = RecordsCodec(of.pipeline, of.program).batch([table], [0], [0])
        with held.lock:
            found, sequence = held.windows.ask(batch.rows), held.sequence
        return TransformReply(
            rows=[_row(of.program, found, number) for number in range(len(request.rows))],
            names=of.program.names,
            generation=of.number,
            sequence=sequence,
        )

    @answers
    def Lookup(self, request: LookupRequest, context: grpc.ServicerContext) -> LookupReply:
        """The windows of one entity by its key, as at an instant of event time."""
        held = self._shelf.of(request.pipeline)
        if held is None:
            passed_on, more = self._other(request.pipeline, context)
            return passed_on.Lookup(request, **more)
        bits = _key(held, request.entity, list(request.key))
        with held.lock:
            found = held.windows.look_up(request.entity, bits, request.at_us or None)
        if found is None:
            return LookupReply(found=False)
        return LookupReply(
            found=True,
            values={name: value for name, (value, _) in found.items() if not np.isnan(value)},
            ages_s={name: age for name, (_, age) in found.items() if not np.isnan(age)},
        )

    def _other(
        self, pipeline: str, context: grpc.ServicerContext
    ) -> tuple[FeatureStoreStub, dict[str, Any]]:
        """Who to pass the question on to, and with what beside it."""
        given = dict(context.invocation_metadata())
        stub = None if PASSED_ON in given else self._elsewhere(pipeline)
        if stub is None and not self._declared(pipeline):
            raise Refused(f"pipeline {pipeline!r} is not declared", status="NOT_FOUND")
        if stub is None:
            raise Refused(
                f"the windows of pipeline {pipeline!r} are being restored, here or elsewhere; "
                "ask again",
                status="UNAVAILABLE",
            )
        left_s = context.time_remaining()
        seconds = SECONDS_MAX if left_s is None else min(SECONDS_MAX, left_s)
        return stub, {"timeout": seconds, "metadata": ((PASSED_ON, "1"),)}


def _row(program: Program, found: Answers, number: int) -> TransformedRow:
    assert found.ages is not None
    ages = [
        FeatureAge(feature=name, seconds=None if np.isnan(age) else age)
        for name, age in zip(program.windows, found.ages[number].tolist(), strict=True)
    ]
    return TransformedRow(
        vector=found.vectors[number].tolist(), ages=ages, late=bool(found.late[number])
    )


def _key(held: Held, entity: str, key: list[str]) -> list[int]:
    """Bits of each component. Refused: no such entity, too many or few values, a value of another
    type."""
    pipeline = held.generation.pipeline
    if entity not in pipeline.entities:
        raise Refused(f"entity is {entity!r}, wanted one of {', '.join(pipeline.entities)}")
    parts = pipeline.entities[entity]
    if len(key) != len(parts):
        raise Refused(f"key has {len(key)} values, wanted {len(parts)}: {', '.join(parts)}")
    types = {**pipeline.field_types(), "time": "float"}
    return [
        _bits(part, text, types.get(part, "float").removesuffix("?").split("[")[0])
        for part, text in zip(parts, key, strict=True)
    ]


def _bits(part: str, text: str, kind: str) -> int:
    kind = "int" if kind == "time" else kind
    try:
        bits, _ = key_bits(pa.array([_value(text, kind)], ARROW_OF_KEY[kind]))
    except (ValueError, KeyError, OverflowError, pa.ArrowException) as error:
        raise Refused(f"key: {part} is {text!r}, wanted a value of type {kind}") from error
    return int(bits[0])


def _value(text: str, kind: str) -> str | int | float | bool:
    if kind == "bool":
        return TRUTHS[text.lower()]
    return int(text) if kind == "int" else float(text) if kind == "float" else text
