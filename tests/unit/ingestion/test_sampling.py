"""Which events are traced, and that what is read again is the same trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from driftloop.contracts import topics
from driftloop.contracts.event_pb2 import Labels, Records
from driftloop.kit.envelope import batch_schema, decode
from driftloop.kit.errors import Unavailable
from driftloop.kit.topic import Emit
from driftloop.kit.trace.marks import ids, read
from tests.support.traced import Kept
from tests.unit.ingestion.stories import DAY_S, Shop, a_payment, an_order

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
ROWS = 2_000


def header(flags: str) -> list[tuple[str, bytes]]:
    return [("traceparent", f"00-{TRACE}-{PARENT}-{flags}".encode())]


def traced(shop: Shop) -> dict[str, tuple[str, str]]:
    """Row id → trace and span, of `records`."""
    schema = batch_schema(shop.pipeline.record_columns())
    found = {}
    for message in shop.envelopes():
        if message.rows:
            names = decode(message.columns, schema).column("_id").to_pylist()
            for row, trace, span in ids(read(message.envelope.traces, message.rows)):
                found[names[row]] = trace.hex(), span.hex()
    return found


def of_rows(emits: Sequence[Emit]) -> list[Records]:
    """The envelopes of `records` that hold rows."""
    name = topics.RECORDS.topic("shop", 1).name
    found = [Records.FromString(each.value or b"") for each in emits if each.topic == name]
    return [message for message in found if message.rows]


def a_shop(sample: float = 1.0) -> Shop:
    return Shop(tracer=Kept(sample))


def of(shop: Shop) -> Kept:
    assert isinstance(shop.tracer, Kept)
    return shop.tracer


def test_a_share_of_events_is_chosen_by_their_ids_and_always_the_same() -> None:
    found = []
    for records_max in (2_000, 77):
        shop = a_shop(0.1)
        shop.send("orders", *(an_order(n) for n in range(ROWS)))
        shop.end(DAY_S + ROWS * 60)
        shop.run(shop.loop(records_max), rounds=60)
        found.append(traced(shop))
    assert found[0] == found[1]
    assert 0.07 * ROWS < len(found[0]) < 0.13 * ROWS
    assert len({trace for trace, _ in found[0].values()}) == len(found[0])


def test_with_tracing_off_no_envelope_has_a_mark() -> None:
    shop = Shop()
    shop.send("orders", an_order(1), headers=header("01"))
    shop.run(shop.loop())
    assert len(shop.rows()) == 1
    assert traced(shop) == {}


def test_a_records_own_sampled_traceparent_is_gone_on_with() -> None:
    shop = a_shop(sample=0.0)
    shop.send("orders", an_order(1), headers=header("01"))
    shop.send("orders", an_order(2))
    shop.run(shop.loop())
    assert {name: trace for name, (trace, _) in traced(shop).items()} == {"o1": TRACE}
    (span,) = of(shop).spans
    assert (span.trace_id.hex(), span.parent_id.hex()) == (TRACE, PARENT)
    assert span.span_id.hex() == traced(shop)["o1"][1]
    assert span.about["messaging.destination.name"] == "orders"
    assert span.attributes["messaging.kafka.offset"] == 0
    assert span.start_ns == DAY_S * 1_000_000_000 < span.end_ns


def test_who_began_a_trace_and_did_not_sample_it_is_heeded() -> None:
    shop = a_shop(sample=1.0)
    shop.send("orders", an_order(1), headers=header("00"))
    shop.send("orders", an_order(2))
    shop.run(shop.loop())
    assert set(traced(shop)) == {"o2"}


def test_a_label_is_traced_where_its_row_is_and_its_mark_goes_to_its_partition() -> None:
    shop = a_shop(0.2)
    for n in range(60):
        shop.send("orders", an_order(n))
        shop.send("payments", a_payment(n))
    shop.end(DAY_S + 60 * 61)
    shop.run(shop.loop(), rounds=60)
    rows = {name for name in traced(shop) if name.startswith("o")}
    topic, labels = topics.LABELS.topic("shop", 1), dict[str, tuple[bytes, bytes]]()
    for record in shop.all(topic.name):
        message = Labels.FromString(record.value or b"")
        if message.rows:
            table = decode(message.columns, batch_schema(topic.declaration.columns))
            names = table.column("event_id").to_pylist()
            for row, trace, span in ids(read(message.envelope.traces, message.rows)):
                labels[names[row]] = trace, span
    assert set(labels) == rows != set()
    spans = {span.attributes.get("driftloop.joins"): span for span in of(shop).spans}
    assert {name: (spans[name].trace_id, spans[name].span_id) for name in labels} == labels


def test_what_is_read_again_after_a_crash_has_the_same_ids_and_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop, decided = a_shop(), list[Emit]()

    shop.send("orders", an_order(1))
    loop = shop.loop()
    commits = type(loop._session).commit  # type: ignore[union-attr]

    def crashes(session: Any, emits: Sequence[Emit], offsets: Any) -> None:
        decided.extend(emits)
        if of_rows(emits):
            raise Unavailable("the process ends here")
        commits(session, emits, offsets)

    with monkeypatch.context() as patched:
        patched.setattr(type(loop._session), "commit", crashes)
        with pytest.raises(Unavailable):
            shop.run(loop)
    loop.close()
    assert of(shop).spans == []
    shop.run(shop.loop(name="two"))
    (first,) = of_rows(decided)
    ((_, trace, span),) = ids(read(first.envelope.traces, 1))
    assert traced(shop) == {"o1": (trace.hex(), span.hex())}
    assert [(each.trace_id, each.span_id) for each in of(shop).spans] == [(trace, span)]


@pytest.mark.parametrize(("flags", "spans"), [("01", 1), ("00", 0)])
def test_a_dead_letter_keeps_its_traceparent_and_its_span_says_why(flags: str, spans: int) -> None:
    shop = a_shop(sample=0.0)
    shop.send("orders", b"no json", headers=header(flags))
    shop.run(shop.loop())
    ((rule, letter),) = shop.dead()
    assert dict(letter.headers)["traceparent"] == header(flags)[0][1]
    assert [span.error for span in of(shop).spans] == [f"dead letter: {rule}"] * spans


def test_a_dead_letter_that_is_too_large_keeps_its_traceparent_alone() -> None:
    shop = a_shop()
    shop.send("orders", bytes(11_000_000), headers=[*header("01"), ("own", b"x")])
    shop.run(shop.loop())
    ((_, letter),) = shop.dead()
    kept = dict(letter.headers)
    assert kept["traceparent"] == header("01")[0][1]
    assert "own" not in kept
