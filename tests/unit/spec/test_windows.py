"""The kernel answers as a reference in plain Python does, whatever the stream and wherever it is
cut into batches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftloop.spec.windows import Answers, Windows, program
from tests.unit.spec.windows_reference import Event, Reference, a_pipeline, rows

PIPELINE = a_pipeline()
PROGRAM = program(PIPELINE)


@st.composite
def streams(draw: st.DrawFn) -> list[Event]:
    """Mostly in order, with many rows of one instant and some far behind."""
    steps = st.sampled_from([0, 0, 0, 1, 1, 2, 5, 30, 130, -1, -3, -40])
    number = st.sampled_from([float("nan"), -1.5, 0.0, 0.25, 1e6, 3.3])
    events, time = [], draw(st.integers(-50, 1000))
    for _ in range(draw(st.integers(1, 60))):
        time += draw(steps)
        events.append(
            Event(
                draw(st.integers(0, 1)),
                time,
                draw(st.integers(0, 12)),
                draw(st.sampled_from([None, 1, 1, 2])),
                draw(st.sampled_from([None, 0, 1])),
                draw(number),
            )
        )
    return events


@settings(max_examples=80, deadline=None)
@given(streams())
def test_every_vector_is_what_the_rows_before_it_say(events: list[Event]) -> None:
    reference = Reference(PIPELINE, PROGRAM)
    expected = [answer for event in events if (answer := reference.take(event)) is not None]

    found = applied(Windows(PROGRAM), events, len(events))

    np.testing.assert_array_equal(
        found.vectors, np.array([v for v, _ in expected], np.float32).reshape(-1, 13)
    )
    assert found.late.tolist() == [late for _, late in expected]


@settings(max_examples=25, deadline=None)
@given(streams())
def test_batches_of_one_and_of_seven_give_the_same_bits(events: list[Event]) -> None:
    whole, cut = Windows(PROGRAM), {size: Windows(PROGRAM) for size in (1, 7)}
    expected = applied(whole, events, len(events))

    for size, windows in cut.items():
        found = applied(windows, events, size)
        assert found.vectors.tobytes() == expected.vectors.tobytes()
        for ours, theirs in zip(windows.kinds, whole.kinds, strict=True):
            assert ours.words[: ours.slots].tobytes() == theirs.words[: theirs.slots].tobytes()


@settings(max_examples=25, deadline=None)
@given(streams())
def test_a_question_gets_what_the_row_would_get_and_changes_nothing(events: list[Event]) -> None:
    windows, last = Windows(PROGRAM), Event(0, events[-1].time, 99, 1, 1, 0.5)
    applied(windows, events, 10)
    before = [state.words.tobytes() for state in windows.kinds]

    asked = windows.ask(rows([last]))

    assert [state.words.tobytes() for state in windows.kinds] == before
    counted = windows.apply(rows([last], first=len(events)))
    assert asked.vectors.tobytes() == counted.vectors.tobytes()
    assert asked.late.tolist() == counted.late.tolist()


@settings(max_examples=25, deadline=None)
@given(streams(), st.data())
def test_state_written_in_pieces_and_replayed_is_the_state_of_an_undisturbed_run(
    events: list[Event], data: st.DataObject
) -> None:
    """A complete round at `first`, part of another at `second`; then everything from `first`."""
    first = data.draw(st.integers(0, len(events)))
    second = data.draw(st.integers(first, len(events)))
    whole = Windows(PROGRAM)
    applied(whole, events[:first], 5)
    complete = [chunk for state in whole.kinds for chunk in state.freeze()]
    applied(whole, events[first:second], 5, first=first)
    part = [chunk for state in whole.kinds for chunk in state.freeze() if chunk.number >= 0]
    kept = part[: data.draw(st.integers(0, len(part)))]
    expected = applied(whole, events[second:], 5, first=second)

    restored = Windows(PROGRAM)
    newest = {(c.kind, c.number): (c, first) for c in complete}
    newest |= {(c.kind, c.number): (c, second) for c in kept}
    for chunk, offset in newest.values():
        next(s for s in restored.kinds if s.name == chunk.kind).load(chunk, offset)
    for state in restored.kinds:
        state.loaded()
    applied(restored, events[first:second], 3, first=first)
    found = applied(restored, events[second:], 3, first=second)

    assert found.vectors.tobytes() == expected.vectors.tobytes()


def test_an_ordinal_is_the_order_of_first_appearance_and_missing_is_minus_one() -> None:
    from driftloop import spec

    pipeline = spec.parse(
        """
name: codes
sources:
  - {topic: asks, role: [predict, label], schema: {id: string, t: time, shop: "string?", y: float},
  id: [id], time: t}
features: [{name: code, field: shop, encode: ordinal}]
target: {name: big, from: asks, positive: "y > 0", horizon: 1h}
learners: [{name: one, kind: lightgbm}]
"""
    )
    windows = Windows(program(pipeline))
    batch = rows([Event(0, t, t, shop, None, 0.0) for t, shop in enumerate([5, 9, None, 5, 9])])

    codes = windows.apply(batch).vectors[:, 0]

    assert codes.tolist() == [0.0, 1.0, -1.0, 0.0, 1.0]


def test_an_opening_row_is_forgotten_when_the_watermark_has_passed_its_window() -> None:
    windows = Windows(PROGRAM)
    opened = [Event(0, 0, ident, 1, 1, 0.0) for ident in range(3_000)]
    windows.apply(rows(opened))
    later = [Event(0, 10_000, 5_000 + ident, 1, 1, 0.0) for ident in range(3_000)]

    windows.apply(rows(later, first=3_000, watermark=9_000))
    state = windows.kinds[0]
    windows.apply(rows(later[:1], first=6_000, watermark=9_000))

    assert int(state.entries[0]) <= 6_000
    assert state.opens.shape[1] <= 32_768


def test_a_lookup_gives_the_windows_of_one_entity_and_none_for_a_stranger() -> None:
    windows = Windows(PROGRAM)
    windows.apply(rows([Event(1, 10, 1, 1, 0, 2.0), Event(1, 20, 2, 1, 0, 4.0)]))
    one, two = (int(np.array([v]).view(np.uint64)[0]) for v in (1.0, 2.0))

    found = windows.look_up("shop", [one], 30)

    assert found is not None
    assert found["n"][0] == 2.0
    assert found["n"][1] == pytest.approx(10e-6)
    assert found["newest"][0] == 4.0
    assert windows.look_up("shop", [two], 30) is None


def applied(windows: Windows, events: list[Event], size: int, first: int = 0) -> Answers:
    """The stream in batches of `size`."""
    answers = [
        windows.apply(rows(events[at : at + size], first=first + at))
        for at in range(0, len(events), max(1, size))
    ]
    width = len(windows.program.names)
    empty = [np.zeros((0, width), np.float32)]
    return Answers(
        np.concatenate(empty + [a.vectors for a in answers]),
        np.concatenate([np.zeros(0, bool)] + [a.late for a in answers]),
    )
