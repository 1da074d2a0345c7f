"""The scoring loop over MemoryBroker, with real onnxruntime sessions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from driftloop.contracts.prediction_pb2 import Score
from driftloop.kit.events import from_json
from tests.unit.serving import stories
from tests.unit.serving.nets import a_model, digest
from tests.unit.serving.stories import House, an_envelope, some_vectors

FIRST, SECOND = a_model(1.0, -1.0, 0.5), a_model(0.1, 2.0, -0.5)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.models.stop()


def test_a_row_before_the_first_release_says_no_model_and_later_rows_are_scored(
    house: House,
) -> None:
    house.models.read_to_end()
    house.send(an_envelope(0, ["early"], some_vectors(1)))
    house.loop.drain()

    house.release(1, FIRST)
    assert house.standing.settled.wait(5)
    house.send(an_envelope(0, ["late"], some_vectors(1)))
    house.loop.drain()

    early, late = stories.scores(house.broker)
    assert early == {"event_id": "early", "time": "2013-01-01T00:26:40Z", "status": "NO_MODEL"}
    assert (late["status"], late["model"]) == ("SCORED", "flights@1")
    unanswered = stories.predictions(house.broker)[0][1]
    assert (unanswered.version, unanswered.outputs, stories.predicted(unanswered)["label"]) == (
        0,
        b"",
        [None],
    )


def test_no_row_is_answered_before_the_releases_are_read_to_their_end(house: House) -> None:
    house.send(an_envelope(0, ["e1"], some_vectors(1)))
    house.loop = house.new_loop(house.standing, seconds=0.01)

    with pytest.raises(Exception, match="no row before the live model is known"):
        house.loop.drain()

    assert stories.predictions(house.broker) == []


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_outputs_do_not_depend_on_how_the_rows_are_batched(house: House, size: int) -> None:
    house.release(1, FIRST)
    house.models.read_to_end()
    vectors, ids = some_vectors(1000), [f"e{number}" for number in range(1000)]

    for start in range(0, 1000, size):
        house.send(an_envelope(0, ids[start : start + size], vectors[start : start + size]))
    house.loop.drain()

    messages = [message for _, message in stories.predictions(house.broker)]
    outputs = np.concatenate([np.frombuffer(m.outputs, "<f4") for m in messages]).reshape(-1, 2)
    assert house.standing.current is not None
    rows = [house.standing.current.network.run(vectors[n : n + 1]) for n in range(1000)]
    assert outputs.tobytes() == np.concatenate(rows).tobytes()
    assert [e for m in messages for e in stories.predicted(m)["event_id"]] == ids


def test_the_baseline_is_scored_on_the_same_rows_and_is_the_live_model_until_there_is_another(
    house: House,
) -> None:
    house.models.read_to_end()
    house.release(1, FIRST)
    assert house.standing.settled.wait(5)
    vectors = some_vectors(20)
    house.send(an_envelope(1, [f"a{n}" for n in range(20)], vectors))
    house.loop.drain()
    house.release(2, SECOND, baseline_version=1, baseline_digest=digest(FIRST))
    assert house.standing.settled.wait(5)
    house.send(an_envelope(1, [f"b{n}" for n in range(20)], vectors))
    house.loop.drain()

    (_, before), (_, after) = stories.predictions(house.broker)
    assert (before.version, before.baseline_version, before.baseline) == (1, 1, before.outputs)
    assert (after.version, after.baseline_version, after.baseline) == (2, 1, before.outputs)
    assert after.outputs != before.outputs
    line = stories.scores(house.broker)[-1]
    assert line["baseline"] == np.frombuffer(after.baseline, "<f4").reshape(-1, 2)[-1, 1]


def test_envelopes_of_a_poll_become_one_of_each_partition_with_the_newest_head(
    house: House,
) -> None:
    house.release(1, FIRST)
    house.models.read_to_end()
    house.send(
        an_envelope(0, ["a"], some_vectors(1), sequence=1),
        an_envelope(1, ["b"], some_vectors(1), sequence=2),
        an_envelope(0, ["c", "d"], some_vectors(2), sequence=3, watermark_us=stories.START_US + 5),
    )

    house.loop.drain()

    (zero, first), (one, second) = stories.predictions(house.broker)
    assert (zero, stories.predicted(first)["event_id"]) == (0, ["a", "c", "d"])
    assert (one, stories.predicted(second)["event_id"]) == (1, ["b"])
    assert (first.envelope.sequence, first.envelope.watermark_us) == (3, stories.START_US + 5)
    assert [s["event_id"] for s in stories.scores(house.broker)] == ["a", "c", "d", "b"]


def test_a_heartbeat_passes_through(house: House) -> None:
    house.models.read_to_end()
    house.send(an_envelope(1, [], some_vectors(0), watermark_us=77, sequence=9))

    house.loop.drain()

    ((partition, message),) = stories.predictions(house.broker)
    assert (partition, message.rows, message.envelope.watermark_us, message.envelope.sequence) == (
        1,
        0,
        77,
        9,
    )


def test_a_batch_too_large_for_a_message_is_cut_and_only_the_last_piece_carries_the_new_watermark(
    house: House,
) -> None:
    house.release(1, FIRST)
    house.models.read_to_end()
    ids = [f"{number}-{'x' * 900}" for number in range(2000)]
    house.send(
        *(
            an_envelope(0, ids[n : n + 500], some_vectors(500), watermark_us=n + 1)
            for n in range(0, 2000, 500)
        )
    )

    house.loop.drain()

    messages = [message for _, message in stories.predictions(house.broker)]
    assert len(messages) >= 3
    assert max(message.ByteSize() for message in messages) < 1_000_000
    assert [m.envelope.watermark_us for m in messages] == [0] * (len(messages) - 1) + [1501]
    assert [e for m in messages for e in stories.predicted(m)["event_id"]] == ids


def test_a_swap_is_acknowledged_in_the_transaction_of_the_next_batch_and_when_idle(
    house: House,
) -> None:
    house.models.read_to_end()
    house.release(1, FIRST)
    assert house.standing.settled.wait(5)
    house.loop.drain()
    house.release(2, SECOND, baseline_version=1, baseline_digest=digest(FIRST))
    assert house.standing.settled.wait(5)
    house.send(an_envelope(0, ["e"], some_vectors(1)))
    house.loop.drain()

    said = stories.acknowledgements(house.broker)
    assert [(a["version"], a["partitions"], a["run_id"]) for a in said] == [
        (1, [0, 1], "run-1"),
        (2, [0, 1], "run-2"),
    ]


def test_scores_are_the_contract_s_message(house: House) -> None:
    house.release(1, FIRST)
    house.models.read_to_end()
    house.send(an_envelope(0, ['quote " and \n line'], np.ones((1, 3), np.float32)))
    house.loop.drain()

    record = next(house.broker.read("flights.scores", 0, 0, 1))
    score = from_json(record.value or b"", Score)

    assert (score.event_id, score.label, record.key) == (
        'quote " and \n line',
        "1",
        b'quote " and \n line',
    )
    assert score.probability == pytest.approx(1 / (1 + np.exp(-0.5)), abs=1e-6)


def test_an_aborted_batch_comes_again_and_is_answered_once(house: House) -> None:
    house.release(1, FIRST)
    house.models.read_to_end()
    house.send(an_envelope(0, ["a", "b"], some_vectors(2)))
    house.broker.fail_commits(1)

    with pytest.raises(Exception, match="aborted as asked"):
        house.loop.drain()
    house.loop.close()
    house.loop.open()
    house.loop.drain()

    assert [s["event_id"] for s in stories.scores(house.broker)] == ["a", "b"]
