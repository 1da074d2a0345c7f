"""The document, what changes of it, and whose figures it tells: the report's own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import PipelineDeclared, RegistryEvent
from driftloop.contracts.pulse_pb2 import LoopPulse, Pulse
from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.kit.broker import Record
from driftloop.kit.errors import Refused
from driftloop.kit.events import Event
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.message import parse
from driftloop.web.feed import Feed
from driftloop.web.processes import SILENT_MS, Processes
from driftloop.web.state import State
from infra.demo import figures, report
from tests.support.eventually import eventually
from tests.support.year import FLIGHTS, MS, fill, turns

DAYS = 8
LEFT = (
    *("name", "generation", "declaration", "model_version"),
    *("revision", "bucket_us", "kind", "metric"),
)


@pytest.fixture(scope="module")
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    fill(broker, days=DAYS)
    return broker


def predicted(broker: MemoryBroker) -> int:
    """As all messages of statistics say."""
    name = topics.STATISTICS.topic("flights").name
    records = broker.read(name, 0, 0, broker.bounds(name, 0)[1])
    return sum(parse(Statistics, record).predicted for record in records)


@pytest.fixture(scope="module")
def state(broker: MemoryBroker) -> State:
    """All of it read, by the feed's own threads."""
    state = State()
    with Feed(broker, state, "memory"):
        eventually(lambda: document(state)["totals"]["predicted"] == predicted(broker), within_s=20)
        eventually(lambda: document(state)["totals"]["runs"] == {"rejected": 6, "released": 6})
        eventually(lambda: [d["outcome"] for d in document(state)["drifts"]].count("released") == 5)
        eventually(lambda: len(document(state)["triggers"]) == 12)
        eventually(lambda: all(stages(state)))
        eventually(lambda: still(state))
    return state


def document(state: State) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(state.document("flights")[1])
    except Refused as error:
        raise AssertionError(str(error)) from error  # not read yet
    return found


def test_runs_and_their_stages_are_the_reports(broker: MemoryBroker, state: State) -> None:
    told = {
        each["run_id"]: state.run("flights", each["run_id"]) for each in document(state)["triggers"]
    }

    wanted = figures.runs(report.control(broker, "flights"), 4)

    assert len(wanted) == len(told) == 12
    for run in wanted:
        mine = told[run["id"]]
        assert mine["outcome"] == run["outcome"]
        assert (mine["version"] or 0) == run["version"]
        assert [v["gain"] for v in mine["verdicts"]] == [v["gain"] for v in run["verdicts"]]
        known = {stage: s for stage, s in mine["stages"].items() if s is not None}
        assert known == run["stages_s"]


def test_totals_bands_and_models_tell_what_was_said(state: State) -> None:
    found = document(state)

    released = [turn for turn in turns(DAYS) if turn.version]
    assert found["totals"]["runs"] == {"rejected": 6, "released": 6}
    assert (found["totals"]["drifts"], found["totals"]["releases"]) == (11, 6)
    assert [band["version"] for band in found["bands"]] == [1, 2, 3, 4, 5, 6]
    for band, turn, after in zip(found["bands"], released, found["bands"][1:], strict=False):
        assert 0 <= band["from_us"] - turn.at_us < 6 * 3_600_000_000
        assert band["to_us"] == after["from_us"]
    assert [model["aliases"] for model in found["models"]] == [
        ["baseline"], [], [], [], ["previous"], ["champion"]
    ]  # fmt: skip
    assert {drift["outcome"] for drift in found["drifts"]} == {"rejected", "released"}


def test_a_page_that_follows_the_updates_has_the_whole_document(broker: MemoryBroker) -> None:
    declared = topics.REGISTRY_EVENTS.topic().name
    records = sorted(  # as appended, the declaration first: what is not declared is not known
        every(broker),
        key=lambda each: (each.topic != declared or each.offset > 0, each.timestamp_ms, each.topic),
    )
    state, feed = State(), Feed(broker, State(), "memory")
    feed._state = state
    page: dict[str, Any] = {}
    since = ""
    for number, record in enumerate(records):
        hear(feed, record)
        if number % 37 == 0 and number > 1:
            since, update = state.update("flights", since)
            page = followed(page, update)
    _, update = state.update("flights", since)
    page = followed(page, update)

    whole = document(state)

    assert {name: page[name] for name in page if name not in LEFT} == {
        name: whole[name] for name in whole if name not in LEFT
    }


def test_nothing_new_is_no_update_and_another_start_is_everything(state: State) -> None:
    assert state.update("flights", still(state))[1] is None
    everything = json.loads(state.update("flights", "00000000-99999")[1] or b"{}")
    boot = still(state).partition("-")[0]
    assert state.update("flights", f"{boot}-{'9' * 5_000}")[1] is not None

    assert everything["from_bucket"] == 0
    assert len(everything["buckets"]["rows"]) == 4 * DAYS


def test_what_does_not_exist_is_refused_by_name(state: State) -> None:
    for ask in (
        lambda: state.document("nobody"),
        lambda: state.run("flights", "run-none"),
        lambda: state.compare("flights", 1, 99),
    ):
        with pytest.raises(Refused, match=r"no (pipeline nobody|run run-none|version 99)"):
            ask()


def test_two_versions_differ_where_they_differ(state: State) -> None:
    found = state.compare("flights", 1, 2)

    differing = {each["field"] for each in found["differences"]}
    assert {"version", "seed", "to_us", "run_id"} <= differing
    assert "metrics.auc" not in differing


def test_another_log_is_read_anew_and_every_page_told_so() -> None:
    replaced, state = MemoryBroker(), State()
    fill(replaced, days=1)
    with Feed(replaced, state, "memory", check_s=0.1):
        eventually(lambda: document(state)["totals"]["releases"] == 6, within_s=20)
        before = document(state)["revision"]
        for partition in list(replaced.log):
            replaced.log[partition] = []

        eventually(lambda: state.overview() == [], within_s=20)

        fill(replaced, days=2)
        eventually(lambda: len(document(state)["buckets"]["rows"]) == 8, within_s=20)
        assert document(state)["revision"].partition("-")[0] != before.partition("-")[0]


def test_a_silent_replica_is_shown_until_another_follows_it() -> None:
    processes = Processes()
    processes.add(a_pulse("a", started_ms=MS, at_ms=MS))
    later = MS + SILENT_MS + 1

    assert [each["state"] for each in processes.told(later)] == ["silent"]
    assert processes.silent(later) == ["serving"]

    processes.add(a_pulse("b", started_ms=later, at_ms=later))
    [told] = processes.told(later)

    assert (told["replica"], told["state"]) == ("b", "running")
    assert processes.silent(later) == []


def test_a_service_that_went_is_told_for_good_and_one_that_ended_is_no_trouble() -> None:
    processes = Processes()
    processes.add(a_pulse("a", started_ms=MS, at_ms=MS))
    day = MS + 86_400_000

    assert [each["state"] for each in processes.told(day)] == ["silent"]
    assert processes.silent(day) == ["serving"]

    for replica, ended in (("b", False), ("c", True)):
        pulse = a_pulse(replica, started_ms=day, at_ms=day + 1)
        pulse.ended = ended
        processes.add(pulse)

    assert [each["replica"] for each in processes.told(day + 2)] == ["b"]  # c was one too many

    pulse = a_pulse("b", started_ms=day, at_ms=day + 3)
    pulse.ended = True
    processes.add(pulse)
    assert {each["state"] for each in processes.told(day + 2 * SILENT_MS)} == {"ended"}
    assert processes.silent(day + 2 * SILENT_MS) == []


def test_what_an_older_generation_says_is_not_kept() -> None:
    state = State()
    for generation in (1, 2):
        declared = PipelineDeclared(
            name="flights", version=1, generation=generation, yaml=FLIGHTS.read_text()
        )
        record = Record("driftloop.registry.events", 0, 0, None, b"", (), MS)
        state.on_fact(Event("e", MS, RegistryEvent(declared=declared), record))
        for told in (1, generation):
            message = Statistics(pipeline="flights", generation=told, end_us=1, predicted=told)
            state.on_statistics("flights", message, MS)
            document(state)

    assert list(state._pipelines["flights"]._series) == [2]
    assert document(state)["totals"]["predicted"] == 2


def test_rows_a_second_are_between_two_pulses_of_one_start() -> None:
    processes = Processes()
    processes.add(a_pulse("a", started_ms=MS, at_ms=MS, rows=100))
    processes.add(a_pulse("a", started_ms=MS, at_ms=MS + 2_000, rows=500, error="no broker"))
    processes.add(a_pulse("a", started_ms=MS, at_ms=MS + 1_000, rows=300))  # overtaken

    [told] = processes.told(MS + 2_000)

    assert (told["rows_per_s"], told["error"], told["state"]) == (200.0, "no broker", "failed")


def a_pulse(replica: str, *, started_ms: int, at_ms: int, rows: int = 0, error: str = "") -> Pulse:
    state = "failed" if error else "running"
    loop = LoopPulse(loop="scores", pipeline="flights", rows_in=rows, state=state, error=error)
    return Pulse(
        service="serving", replica=replica, started_ms=started_ms, at_ms=at_ms, loops=[loop]
    )


def stages(state: State) -> list[bool]:
    """Of each released run: is its last stage known?"""
    released = [each for each in document(state)["triggers"] if each["outcome"] == "released"]
    return [state.run("flights", each["run_id"])["stages"]["swap"] is not None for each in released]


def every(broker: MemoryBroker) -> list[Record]:
    return [
        record
        for topic in broker.topics()
        for record in broker.read(topic, 0, 0, broker.bounds(topic, 0)[1])
    ]


def hear(feed: Feed, record: Record) -> None:
    """As the feed's thread of that topic would."""
    if record.topic == topics.STATISTICS.topic("flights").name:
        feed._statistics("flights")(record)
    elif record.topic == topics.REGISTRY_EVENTS.topic().name:
        feed._stop.set()  # no thread of its own
        feed._on_fact(record)
    elif record.topic == topics.LIVE.topic().name:
        feed._on_live(record)
    elif record.topic == topics.PULSE.topic().name:
        feed._on_pulse(record)
    else:
        control = next(t for t in topics.CONTROL if t.topic().name == record.topic)
        feed._teller(control)(record)


def followed(page: dict[str, Any], update: bytes | None) -> dict[str, Any]:
    """What the browser does with an update."""
    if update is None:
        return page
    changed = json.loads(update)
    start, columns = changed.pop("from_bucket", None), changed.pop("buckets", None)
    buckets = page.get("buckets", {})
    if columns is not None:
        buckets = {name: buckets.get(name, [])[:start] + column for name, column in columns.items()}
    return {**page, **changed, "buckets": buckets}


def still(state: State) -> str:
    """The revision, once nothing comes any more."""
    first = state.update("flights", "")[0]
    return first if state.update("flights", first)[1] is None else ""
