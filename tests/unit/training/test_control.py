"""The control loop: one answer a request, one `model.trained` a run, also after a crash."""

from __future__ import annotations

import pytest

from driftloop import dataset
from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import OffsetRange, Window
from driftloop.contracts.retrain_pb2 import RetrainRequested, RetrainResolved
from driftloop.kit.errors import Unavailable
from driftloop.kit.task import Moment
from driftloop.kit.topic import Emit
from services.training.domain.runs import run_id_of
from services.training.handlers import TrainingTask
from services.training.jobs import Cancel, Train
from tests.unit.training.examples import emits, made, whole
from tests.unit.training.stories import House, finished, request, said

REQUESTED = topics.RETRAIN_REQUESTED.topic().name
EXAMPLES = topics.EXAMPLES.topic("sea", 1).name


@pytest.fixture
def house() -> House:
    return House()


def test_an_accepted_request_becomes_one_model_trained(house: House) -> None:
    house.run(request())
    (answer,), (trained,) = house.answers(), house.trained()
    assert (answer.request_id, answer.outcome, answer.run_id) == ("r1", "accepted", run_id_of("r1"))
    assert (trained.run_id, trained.outcome, trained.declaration) == (answer.run_id, "trained", 4)
    assert len(house.log(topics.TRAINING_PROGRESS.topic().name)) == 4


def test_a_run_whose_pipeline_is_removed_while_it_waits_fails_and_the_loop_goes_on(
    house: House,
) -> None:
    start = house.foundry.start
    house.foundry.start = lambda *_: removed(house)  # type: ignore[method-assign]
    house.run(request("r1"))
    house.run()
    (trained,) = house.trained()
    assert (trained.outcome, trained.reason) == ("failed", "its pipeline is no longer declared")
    house.foundry.start, house.foundry.is_declared = start, True  # type: ignore[method-assign]
    house.run(finished(run_id_of("r1")))
    house.run(request("r2"))
    assert [one.outcome for one in house.trained()] == ["failed", "trained"]


def removed(house: House) -> None:
    """As when a tombstone is heard just before the child is to start."""
    house.foundry.is_declared = False


def test_each_request_gets_exactly_one_answer_and_bad_ones_stop_nothing(house: House) -> None:
    house.foundry.may_end = False
    bad = [
        Emit(REQUESTED, b"{no json", b"sea"),
        Emit(REQUESTED, None, b"sea"),
        Emit(REQUESTED, b'{"pipeline": 3}', b"sea", headers=[("ce_id", b"r7")]),
    ]
    house.run(
        request("r1"),
        request("r1"),
        *bad,
        request("r2"),
        request("r3", pipeline="lake"),
        request("r4", suppressed="cooldown"),
        request("r5", trigger="whim"),
    )
    assert [(one.request_id, one.outcome) for one in house.answers()] == [
        ("r1", "accepted"),
        (f"{REQUESTED}-0-2", "refused"),
        (f"{REQUESTED}-0-3", "refused"),
        ("r7", "refused"),
        ("r2", "coalesced"),
        ("r3", "refused"),
        ("r4", "suppressed"),
        ("r5", "refused"),
    ]


def test_after_the_end_of_a_run_the_next_request_is_accepted(house: House) -> None:
    house.run(request("r1"))
    house.run(request("r2"))
    house.run(finished(run_id_of("r1")))
    house.run(request("r3"))
    assert [one.outcome for one in house.answers()] == ["accepted", "coalesced", "accepted"]
    assert [one.run_id for one in house.trained()] == [run_id_of("r1"), run_id_of("r3")]


def test_an_unfinished_run_starts_again_after_a_crash_with_the_same_window(house: House) -> None:
    house.foundry.may_end = False
    house.run(request("r1"))
    house.broker.append(emits(*made(100), "sea", first=500))  # later than the acceptance
    house.crash()
    house.foundry.may_end = True
    house.run()
    first, second = house.foundry.fits
    assert first.plan == second.plan
    assert first.cancelled
    (trained,) = house.trained()
    assert trained.holdout.rows + trained.candidates[0].window.rows == 500
    assert len(house.answers()) == 1


def test_what_was_answered_and_trained_is_not_done_again_after_a_crash(house: House) -> None:
    house.run(request("r1"))
    house.crash()
    house.run(request("r1"), request("r2"))
    assert [one.outcome for one in house.answers()] == ["accepted", "coalesced"]
    assert len(house.trained()) == len(house.foundry.fits) == 1


def test_an_aborted_commit_answers_and_trains_once(house: House) -> None:
    house.broker.fail_commits(1)
    house.broker.append([request("r1")])
    with pytest.raises(Unavailable):
        house.loop.drain()
    assert house.foundry.fits == []  # nothing is begun before the acceptance is a fact
    house.crash()
    house.run()
    assert len(house.answers()) == len(house.trained()) == 1


def test_a_window_that_the_request_names_is_the_one_that_is_read(house: House) -> None:
    part = [dataset.Range(one.topic, one.partition, 0, one.end // 2) for one in whole(house.broker)]
    rows, _ = dataset.read(house.broker, part)
    house.run(request(window=dataset.window(rows, part)))
    (trained,) = house.trained()
    assert trained.holdout.rows + trained.candidates[0].window.rows == len(rows) < 500


@pytest.mark.parametrize(
    ("topic", "numbers"), [("sea.g1.labels", [0]), (EXAMPLES, [2]), (EXAMPLES, [1, 1])]
)
def test_a_window_that_cannot_be_is_refused(house: House, topic: str, numbers: list[int]) -> None:
    ranges = [OffsetRange(topic=topic, partition=number, start=0, end=5) for number in numbers]
    house.run(request(window=Window(ranges=ranges)))
    (answer,) = house.answers()
    assert (answer.outcome, answer.reason[:7]) == ("refused", "window:")


def test_the_change_that_was_detected_reaches_the_fit(house: House) -> None:
    house.run(request(trigger="drift", from_us=77))
    assert house.foundry.fits[0].plan.change_us == 77


def test_a_cancelled_run_says_so_and_by_whom(house: House) -> None:
    house.foundry.may_end = False
    house.run(request())
    future = house.inbox.submit(Cancel(run_id_of("r1"), "ada"))
    house.run()
    assert future.result(0) == (True, "")
    (trained,) = house.trained()
    assert (trained.outcome, trained.reason) == ("cancelled", "by ada")
    late = house.inbox.submit(Cancel(run_id_of("r1"), "ada"))
    house.run()
    assert late.result(0) == (False, "it is trained and waits for its judgement")


def test_a_run_that_the_registry_closed_is_ended_without_a_word(house: House) -> None:
    house.foundry.may_end = False
    house.run(request())
    house.run(finished(run_id_of("r1")))
    assert house.foundry.fits[0].cancelled
    assert house.trained() == []


def test_a_persons_wish_goes_through_the_log_like_any_other(house: House) -> None:
    future = house.inbox.submit(
        Train("manual-1", RetrainRequested(pipeline="sea", trigger="manual"))
    )
    house.run()
    assert future.result(0) == "manual-1"
    assert [(one.request_id, one.outcome) for one in house.answers()] == [("manual-1", "accepted")]


def test_a_person_who_stops_waiting_while_the_wish_is_committed_stops_nothing(house: House) -> None:
    task = TrainingTask(house.foundry, house.inbox, children_max=1)
    future = house.inbox.submit(
        Train("manual-1", RetrainRequested(pipeline="sea", trigger="manual"))
    )
    gone = house.inbox.submit(Cancel("run-1", "ada"))
    gone.cancel()

    asked = task.tick(Moment(1))
    future.cancel()  # as the door does when its time is over
    task.committed(Moment(1))

    assert len(asked.emits) == 1
    assert future.result(0) == "manual-1"


def test_an_answer_that_is_none_does_not_stop_the_next_start(house: House) -> None:
    house.run(request())
    house.run(said(topics.RETRAIN_RESOLVED.topic(), RetrainResolved(outcome="maybe"), "whim"))

    house.crash()
    house.run(finished(run_id_of("r1")), request("r2"))

    assert [one.outcome for one in house.answers()] == ["accepted", "maybe", "accepted"]


def test_nothing_is_refused_while_the_pipelines_are_still_being_read(house: House) -> None:
    house.foundry.is_ready = False
    with pytest.raises(Unavailable):
        house.run(request())
    house.foundry.is_ready = True
    house.crash()
    house.run()
    assert [one.outcome for one in house.answers()] == ["accepted"]
