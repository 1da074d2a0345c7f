"""The figures on /metrics: what is counted, how labels are bounded, and the page."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence

import numpy as np
import pytest

from driftloop.kit.errors import Refused
from driftloop.kit.loop import LoopState
from driftloop.kit.metrics import LoopMeter, Metrics, cells, show
from driftloop.kit.metrics.cells import Counter, Family, Figure, Label, SharedCounter
from driftloop.kit.metrics.figures import Figures, declared
from driftloop.kit.task import Sizes
from driftloop.kit.version import VERSION
from tests.support import eventually
from tests.support.figures import kinds, samples, value

OF = {"loop": "windows", "pipeline": "flights"}


def a_family(*labels: Label) -> Family[Counter]:
    figure = Figure("x_total", "counter", "Said.", "rows", labels, ("serving",))
    return Family(figure, Counter, SharedCounter)


def shown(family: Family[Counter]) -> list[str]:
    return [line for line in family.lines() if not line.startswith("#")]


def test_a_loops_state_is_shown_when_someone_asks() -> None:
    metrics, state = Metrics(), LoopState("windows-flights", "flights", "running")
    metrics.before_scrape(lambda: show(metrics, state))
    state.rows_in, state.rows_out, state.commits, state.aborts, state.lag = 20, 19, 3, 1, 5
    state.watermark_us = 2_500_000
    state.sizes = Sizes({"merge": 7}, 100, 4_000)
    page = metrics.text()
    assert value(page, "driftloop_rows_in_total", **OF) == 20
    assert value(page, "driftloop_rows_out_total", **OF) == 19
    assert value(page, "driftloop_commits_total", **OF) == 3
    assert value(page, "driftloop_aborts_total", **OF) == 1
    assert value(page, "driftloop_lag_records", **OF) == 5
    assert value(page, "driftloop_watermark_timestamp_seconds", **OF) == 2.5
    assert value(page, "driftloop_loop_running", **OF) == 1
    assert value(page, "driftloop_queue_rows", **OF, queue="merge") == 7
    assert value(page, "driftloop_state_rows", **OF) == 100
    assert value(page, "driftloop_state_bytes", **OF) == 4_000


def test_what_a_loop_has_lost_is_shown_as_nothing_and_what_it_never_had_not_at_all() -> None:
    metrics, state = Metrics(), LoopState("windows-flights", "flights", "waiting")
    state.sizes = Sizes({"merge": 7}, 100).emptied()
    show(metrics, state)
    page = metrics.text()
    assert value(page, "driftloop_loop_running", **OF) == 0
    assert value(page, "driftloop_queue_rows", **OF, queue="merge") == 0
    assert value(page, "driftloop_state_rows", **OF) == 0
    assert value(page, "driftloop_state_bytes", **OF) is None


def test_durations_fall_into_buckets_that_rise() -> None:
    metrics = Metrics()
    meter = LoopMeter(metrics, "windows-flights", "flights")
    meter.handled(0.003)
    meter.handled(0.005)
    meter.handled(100.0)
    meter.committed(0.25)
    page = metrics.text()
    assert value(page, "driftloop_batch_seconds_count", **OF) == 3
    assert value(page, "driftloop_batch_seconds_sum", **OF) == pytest.approx(100.008)
    assert value(page, "driftloop_batch_seconds_bucket", **OF, le="0.002") == 0
    assert value(page, "driftloop_batch_seconds_bucket", **OF, le="0.005") == 2
    assert value(page, "driftloop_batch_seconds_bucket", **OF, le="10.0") == 2
    assert value(page, "driftloop_batch_seconds_bucket", **OF, le="+Inf") == 3
    assert value(page, "driftloop_commit_seconds_count", **OF) == 1


def test_a_batch_of_values_is_counted_as_its_values_one_by_one() -> None:
    values = np.random.default_rng(1).gamma(1.0, 0.2, 1_000)
    values[:3] = 0.01, 60.0, 1e9  # on an edge, on the last edge, beyond
    at_once, alone = Figures().score_seconds, Figures().score_seconds
    at_once.labels("p", "1").observe_all(values)
    for one in values.tolist():
        alone.labels("p", "1").observe(one)
    assert list(at_once.lines())[:-1] == list(alone.lines())[:-1]
    assert values.sum() == pytest.approx(float(list(at_once.lines())[-1].split()[-1]))


def test_the_page_says_of_each_figure_what_it_is() -> None:
    said = kinds(Metrics().text())
    names = {each.name: each.kind for each in declared()}
    assert {name: said[f"driftloop_{name.removesuffix('_total')}"] for name in names} == names
    assert "process_resident_memory_bytes" in said


def test_the_names_follow_the_conventions_of_prometheus() -> None:
    for figure in declared():
        assert figure.name.endswith("_total") == (figure.kind == "counter"), figure.name
        assert figure.name.endswith("_seconds") == figure.unit.endswith("seconds"), figure.name
        assert figure.name.endswith("_bytes") == (figure.unit == "bytes"), figure.name
        assert figure.name.endswith("_ratio") == (figure.unit == "ratio"), figure.name
        assert ("_timestamp_" in figure.name) == (figure.unit == "unix seconds"), figure.name
        assert bool(figure.buckets) == (figure.kind == "histogram"), figure.name
        assert sorted(figure.buckets) == list(figure.buckets), figure.name
        assert figure.text.endswith("."), figure.name
        assert all(label.values or label.most for label in figure.labels), figure.name


def test_of_versions_the_newest_ten_are_kept_for_each_pipeline() -> None:
    family = a_family(Label("pipeline", most=100), Label("version", most=10, newest=True))
    for version in range(1, 15):
        family.labels("a", str(version)).inc()
        family.labels("b", "3").inc()
    versions = {
        of["version"] for _, of, _ in samples("\n".join(family.lines())) if of["pipeline"] == "a"
    }
    assert versions == {str(version) for version in range(5, 15)}
    assert 'driftloop_x_total{pipeline="b",version="3"} 14' in shown(family)


def test_an_old_version_and_what_is_no_version_are_counted_as_others() -> None:
    family = a_family(Label("pipeline", most=100), Label("version", most=2, newest=True))
    for version in ("7", "8", "6", "x", "9"):
        family.labels("a", version).inc()
    assert shown(family) == [
        'driftloop_x_total{pipeline="a",version="8"} 1',
        'driftloop_x_total{pipeline="a",version="other"} 2',
        'driftloop_x_total{pipeline="a",version="9"} 1',
    ]


def test_a_value_that_is_not_in_the_fixed_set_is_another() -> None:
    family = a_family(Label("lane", values=("loop", "frozen")))
    for lane in ("loop", "guess", "frozen", "hope"):
        family.labels(lane).inc()
    assert [line.split("}")[0] for line in shown(family)] == [
        'driftloop_x_total{lane="loop"',
        'driftloop_x_total{lane="other"',
        'driftloop_x_total{lane="frozen"',
    ]


def test_values_without_end_go_to_one_and_each_pipeline_has_its_own_bound() -> None:
    family = a_family(Label("rule", most=50), Label("pipeline", most=100))
    for number in range(70):
        family.labels(f"rule-{number}", "a").inc()
        family.labels("rule-69", "b").inc()
    lines = shown(family)
    assert len(lines) == 52
    assert 'driftloop_x_total{rule="other",pipeline="a"} 20' in lines
    assert 'driftloop_x_total{rule="rule-69",pipeline="b"} 70' in lines


def test_pipelines_without_end_go_to_one_until_another_is_removed() -> None:
    family = a_family(Label("pipeline", most=2))
    for name in "abcd":
        family.labels(name).inc()
    assert 'driftloop_x_total{pipeline="other"} 2' in shown(family)
    family.forget("a")
    family.labels("c").inc()
    assert 'driftloop_x_total{pipeline="c"} 1' in shown(family)


def test_a_removed_pipeline_is_shown_no_more() -> None:
    metrics = Metrics()
    metrics.answer_with("flights", 7)
    metrics.model_version.labels("flights").set(7)
    metrics.model_version.labels("sea").set(2)
    metrics.stage_seconds.labels("flights", "train").observe(1.0)
    metrics.psi.labels("flights", "a").set(0.1)
    metrics.rows_in_total.labels("windows", "flights").inc()
    metrics.forget("flights")
    assert "flights" not in metrics.text()
    assert metrics.answering("flights") == 0
    assert value(metrics.text(), "driftloop_model_version", pipeline="sea") == 2


def test_a_scrape_under_way_does_not_bring_a_removed_pipeline_back() -> None:
    metrics, asked, removed = Metrics(), threading.Event(), threading.Event()

    def tell() -> None:  # has read that there is a loop of it, and is overtaken
        asked.set()
        removed.wait(0.2)
        metrics.lag_records.labels("windows", "flights").set(1)

    metrics.before_scrape(tell)
    scrape = threading.Thread(target=metrics.text)
    scrape.start()
    asked.wait(5.0)
    metrics.forget("flights")
    removed.set()
    scrape.join()
    assert [line for line in metrics.lag_records.lines() if "flights" in line] == []


def test_a_label_that_would_break_the_page_is_spelt_out() -> None:
    metrics = Metrics()
    metrics.psi.labels("p", 'a"b\\c\nd').set(float("nan"))
    [(_, labels, shown)] = [each for each in samples(metrics.text()) if each[0] == "driftloop_psi"]
    assert labels["feature"] == 'a"b\\c\nd'
    assert shown != shown


def test_the_answering_version_can_be_asked_by_the_pulse() -> None:
    metrics = Metrics()
    assert metrics.answering("flights") == 0
    metrics.answer_with("flights", 7)
    assert metrics.answering("flights") == 7


def test_a_process_says_which_build_it_is() -> None:
    metrics = Metrics()
    metrics.build("serving")
    page = metrics.text()
    assert value(page, "driftloop_build_info", service="serving", version=VERSION) == 1
    assert value(page, "driftloop_pulses_lost_total") == 0


def test_a_watermark_is_shown_once_there_is_one() -> None:
    metrics, state = Metrics(), LoopState("windows-flights", "flights")
    show(metrics, state)
    assert value(metrics.text(), "driftloop_watermark_timestamp_seconds", **OF) is None


def test_several_threads_lose_nothing_where_they_share_a_cell() -> None:
    metrics = Metrics()

    def work() -> None:
        for _ in range(2_000):
            metrics.calls_dropped_total.shared("p").inc()
            metrics.call_ended("Registry/Apply", "OK", 0.003)

    in_threads([work] * 4)
    page = metrics.text()
    assert value(page, "driftloop_calls_dropped_total", pipeline="p") == 8_000
    ended = value(page, "driftloop_rpc_seconds_count", method="Registry/Apply", code="OK")
    assert ended == 8_000


def test_the_cell_for_others_is_whoevers_and_is_found_without_a_lock() -> None:
    figure = Figure("x_total", "counter", "Said.", "rows", (Label("rule", most=1),), ("serving",))
    family = Family(figure, Counter, SharedCounter)
    assert type(family.labels("first")) is Counter
    others = [family.labels(f"more-{number}") for number in range(3)]
    assert [type(cell) for cell in others] == [SharedCounter] * 3
    with family._making:  # who looks one up that is known doesn't wait for who makes one
        assert [family.labels(f"more-{number}") for number in range(3)] == others


def test_values_without_end_are_not_all_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "ASKED_MAX", 10)
    family = a_family(Label("rule", most=1))
    for number in range(100):
        family.labels(f"r{number}").inc()
    assert len(family._asked) <= 10
    assert shown(family) == [
        'driftloop_x_total{rule="r0"} 1', 'driftloop_x_total{rule="other"} 99',
    ]  # fmt: skip


def test_cells_that_are_made_while_others_are_read_are_all_there() -> None:
    metrics, stop = Metrics(), threading.Event()

    def make() -> None:
        for number in range(3_000):
            metrics.rows_in_total.labels(f"loop-{number % 20}", f"p{number % 90}").inc()
        stop.set()

    def read() -> None:
        while not stop.is_set():
            metrics.text()

    in_threads([make, read, read])
    counted = [
        each for name, _, each in samples(metrics.text()) if name == "driftloop_rows_in_total"
    ]
    assert sum(counted) == 3_000


def in_threads(works: Sequence[object]) -> None:
    threads = [threading.Thread(target=work) for work in works]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_they_are_served_on_a_free_port_and_a_taken_one_is_refused() -> None:
    metrics = Metrics()
    address = metrics.serve("127.0.0.1", 0)
    with urllib.request.urlopen(f"http://127.0.0.1:{address.port}/metrics") as page:
        assert page.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert "# TYPE driftloop_rows_in_total counter" in page.read().decode()
    with pytest.raises(Refused, match=f"port 127.0.0.1:{address.port} .*METRICS_PORT"):
        Metrics().serve("127.0.0.1", address.port)


def test_a_page_that_fails_is_said_in_the_log_and_who_hangs_up_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics = Metrics()

    def broken() -> None:
        raise KeyError("gone")

    metrics.before_scrape(broken)
    address = metrics.serve("127.0.0.1", 0)
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{address.port}/metrics")
    (line,) = eventually(lambda: caplog.records)
    assert line.message == "the page failed"
    assert line.exc_info is not None and line.exc_info[0] is KeyError


def test_another_path_is_not_found_and_who_hangs_up_disturbs_no_one() -> None:
    address = Metrics().serve("127.0.0.1", 0)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{address.port}/etc/passwd")
    with socket.create_connection(("127.0.0.1", address.port)) as rude:
        rude.sendall(b"GET /metr")
    with urllib.request.urlopen(f"http://127.0.0.1:{address.port}/metrics") as page:
        assert page.status == 200
