"""Which model answers: swaps, refusals, the cache, the dark registry."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.serving.domain import Answering, Plan, labels
from tests.support.eventually import eventually
from tests.unit.serving.nets import a_model, digest
from tests.unit.serving.stories import House, some_vectors

FIRST, SECOND = a_model(1.0, -1.0, 0.5), a_model(0.1, 2.0, -0.5)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    house.models.read_to_end()
    yield house
    house.models.stop()


def live(house: House) -> Answering:
    assert house.standing.current is not None
    return house.standing.current


def answers_with(house: House, version: int) -> bool:
    return house.standing.current is not None and live(house).release.version == version


@pytest.mark.parametrize(
    ("data", "changes", "rule"),
    [
        (b"not onnx at all", {}, "corrupt_model"),
        (b"", {}, "corrupt_model"),
        (SECOND[:-40], {}, "corrupt_model"),
        (a_model(1.0, 2.0), {}, "wrong_shape"),
        (a_model(1.0, 2.0, 3.0, output="answer"), {}, "wrong_shape"),
        (SECOND, {"classes": ("a", "b", "c")}, "wrong_shape"),
        (SECOND, {"inputs": ("a", "c", "b")}, "wrong_shape"),
        (SECOND, {"digest": "0" * 64}, "wrong_digest"),
        (SECOND, {"digest": ""}, "wrong_shape"),
    ],
)
def test_a_release_that_cannot_be_used_is_refused_and_counted_and_the_old_one_stays(
    house: House, data: bytes, changes: dict[str, object], rule: str
) -> None:
    house.release(1, FIRST)
    eventually(lambda: house.standing.current is not None, within_s=5)
    house.standing.counts.take()
    house.shelf["0" * 64] = data

    house.release(2, data, **changes)

    assert eventually(house.standing.counts.take, within_s=5) == {rule: 1}
    assert live(house).release.version == 1
    assert house.standing.trouble.startswith("flights@2 refused: ")


def test_a_damaged_baseline_does_not_keep_the_live_model_back(house: House) -> None:
    house.shelf[digest(b"junk")] = b"junk"

    house.release(2, SECOND, baseline_version=1, baseline_digest=digest(b"junk"))

    eventually(lambda: house.standing.current is not None, within_s=5)
    assert (live(house).release.version, live(house).baseline, live(house).baseline_version) == (
        2,
        None,
        0,
    )
    assert house.standing.counts.take() == {"baseline_corrupt_model": 1}


def test_after_a_start_with_the_registry_dark_the_cached_model_answers(house: House) -> None:
    release = house.release(1, FIRST)
    assert house.standing.settled.wait(5) and house.standing.current
    house.dark = True

    models = house.new_models()
    standing = models.open(house.plan, threading.Event())
    eventually(
        lambda: standing.current is not None, within_s=5
    )  # calls, before model.released is read
    assert not standing.settled.is_set()
    models.released(release)
    models.read_to_end()

    assert standing.settled.wait(5)
    assert standing.current is not None and standing.current.release == release
    models.stop()


def test_a_release_that_cannot_be_fetched_yet_waits_while_the_last_good_one_answers(
    house: House,
) -> None:
    house.release(1, FIRST)
    assert house.standing.settled.wait(5)
    house.dark = True
    house.release(2, SECOND)
    eventually(lambda: "dark" in house.standing.trouble, within_s=5)
    assert live(house).release.version == 1 and house.standing.settled.is_set()

    house.dark = False

    eventually(lambda: live(house).release.version == 2, within_s=5)
    assert house.standing.trouble == ""


def test_a_first_release_that_is_out_of_reach_is_waited_for_not_answered_with_no_model(
    house: House,
) -> None:
    house.dark = True
    house.release(1, FIRST)

    eventually(lambda: "dark" in house.standing.trouble, within_s=5)

    assert not house.standing.settled.is_set()
    house.dark = False
    assert house.standing.settled.wait(5)


def test_a_damaged_file_of_the_cache_is_fetched_again(house: House) -> None:
    release = house.release(1, FIRST)
    assert house.standing.settled.wait(5)
    (house.folder / "models" / f"{release.digest}.onnx").write_bytes(b"rot")

    models = house.new_models()
    standing = models.open(house.plan, threading.Event())
    models.released(release)
    models.read_to_end()

    assert standing.settled.wait(5) and standing.current is not None
    models.stop()


def test_live_previous_and_baseline_can_be_asked_for(house: House) -> None:
    third = a_model(3.0, 3.0, 3.0)
    first = digest(FIRST)
    for version, data in ((1, FIRST), (2, SECOND), (3, third)):
        house.release(
            version,
            data,
            baseline_version=1 if version > 1 else 0,
            baseline_digest=first if version > 1 else "",
        )
        eventually(functools.partial(answers_with, house, version), within_s=5)

    assert house.standing.versions() == ["3", "2", "1"]
    answers = {number: house.standing.version(number) for number in ("", "1", "2", "3", "4", "x")}
    found = {
        number: answering.release.version for number, answering in answers.items() if answering
    }
    assert found == {"": 3, "1": 1, "2": 2, "3": 3}


def test_no_call_fails_while_models_are_swapped(house: House) -> None:
    house.release(1, FIRST)
    assert house.standing.settled.wait(5)
    vectors, stop, failures, seen = some_vectors(8), threading.Event(), [], set()
    expected = {1: live(house).network.run(vectors).tobytes()}

    def ask() -> None:
        while not stop.is_set():
            answering = live(house)
            answer = answering.answer(vectors, house.plan)
            seen.add(answering.release.version)
            if answering.release.version == 1 and answer.outputs.tobytes() != expected[1]:
                failures.append(answering.release.version)

    askers = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
    for asker in askers:
        asker.start()
    for version in range(2, 12):
        house.release(version, FIRST if version % 2 else SECOND)
        eventually(functools.partial(answers_with, house, version), within_s=5)
    stop.set()
    for asker in askers:
        asker.join()

    assert failures == [] and len(seen) >= 2
    assert house.swaps == list(range(1, 12))


@pytest.mark.parametrize(
    ("kind", "threshold", "outputs", "wanted"),
    [
        ("binary", 0.5, [[0.5, 0.5], [0.51, 0.49]], [1, 0]),
        ("binary", 0.9, [[0.2, 0.8], [0.05, 0.95]], [0, 1]),
        ("multiclass", 0.5, [[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]], [1, 0]),
        ("regression", 0.5, [[1.5], [2.5]], None),
    ],
)
def test_a_label_follows_the_target(
    kind: str, threshold: float, outputs: list[list[float]], wanted: list[int] | None
) -> None:
    plan = Plan("p", 1, 1, ("a",), kind, threshold, False)  # type: ignore[arg-type]

    found = labels(np.array(outputs, np.float32), plan)

    assert (None if found is None else found.tolist()) == wanted
