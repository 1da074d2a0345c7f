"""After the loop has turned, the seven services tell of it on /metrics: every declared figure, in
numbers that agree with the log, on pages that the real Prometheus finds nothing to say about."""

from __future__ import annotations

import subprocess

import pytest

from driftloop.kit.metrics.figures import ENDS, STAGES, declared
from tests.e2e.conftest import ROWS, Looped
from tests.support import prometheus
from tests.support.figures import samples, value

pytestmark = pytest.mark.timeout(240)

UNTOLD = {
    "dead_letters_total": "no record of the small stream is bad",
    "psi": "no version of the small stream lives for 6,000 rows",
}


def test_every_figure_is_told_by_its_owners(looped: Looped) -> None:
    told = {
        service: {name for name, _, _ in samples(page)} for service, page in looped.pages.items()
    }
    missing = {
        (figure.name, owner)
        for figure in declared()
        for owner in figure.owners
        if not {f"driftloop_{figure.name}", f"driftloop_{figure.name}_count"} & told[owner]
    }
    assert {each for each in missing if each[0] not in UNTOLD} == set()


def test_no_figure_is_told_by_who_does_not_own_it(looped: Looped) -> None:
    owners = {figure.name: figure.owners for figure in declared()}
    for service, page in looped.pages.items():
        for name, _, _ in samples(page):
            if name.startswith("driftloop_"):
                parts = ("_bucket", "_count", "_sum")
                bare = next(
                    (name.removesuffix(each) for each in parts if name.endswith(each)), name
                )
                figure = next(
                    each.removeprefix("driftloop_")
                    for each in (name, bare)
                    if each.removeprefix("driftloop_") in owners
                )
                assert service in owners[figure], (service, name)


def test_the_turn_of_the_loop_is_told_by_stage(looped: Looped) -> None:
    page, of = looped.pages["monitor"], {"pipeline": looped.stream}
    runs = {end: value(page, "driftloop_runs_total", **of, outcome=end) for end in ENDS}
    drifted = {"trigger": "drift", "outcome": "accepted"}
    assert (value(page, "driftloop_retrains_total", **of, **drifted) or 0) >= 1
    assert (runs["released"] or 0) >= 2
    redeployed = value(page, "driftloop_redeploy_seconds_count", **of) or 0
    assert redeployed >= 1
    seconds = value(page, "driftloop_redeploy_seconds_sum", **of) or 0
    assert 0 < seconds < 120 * redeployed
    stages = [value(page, "driftloop_stage_seconds_count", **of, stage=each) for each in STAGES]
    assert min(each or 0 for each in stages) >= 1
    assert (value(page, "driftloop_drifts_total", **of, detector="PageHinkley") or 0) >= 1


def test_the_figures_agree_with_the_log(looped: Looped) -> None:
    of = {"pipeline": looped.stream}
    accepted = value(looped.pages["ingestion"], "driftloop_records_total", **of, outcome="accepted")
    assert (accepted or 0) >= len(looped.events)  # what an aborted transaction counted comes again
    serving = looped.pages["serving"]
    scored = [
        each
        for name, labels, each in samples(serving)
        if name == "driftloop_score_seconds_count" and labels["pipeline"] == looped.stream
    ]
    unanswered = value(serving, "driftloop_no_model_rows_total", **of) or 0
    assert sum(scored) + unanswered >= ROWS
    released = {each.version for each in looped.world.released(looped.stream)}
    live = value(serving, "driftloop_model_version", **of)
    assert live in released and live >= looped.version  # tests before this one may have retrained
    assert value(looped.pages["monitor"], "driftloop_label_coverage_ratio", **of) == 1.0
    lag = {"loop": "scores", **of}
    behind = value(serving, "driftloop_lag_records", **lag)
    assert behind is not None and behind < 50  # a heartbeat or two may be on its way
    assert value(serving, "driftloop_loop_running", **lag) == 1


def test_the_real_prometheus_finds_nothing_to_mend(looped: Looped) -> None:
    promtool = prometheus.tools().promtool
    for service, page in looped.pages.items():
        said = subprocess.run(
            [promtool, "check", "metrics"],
            check=False,
            input=page,
            text=True,
            capture_output=True,
            timeout=30,
        )
        assert (said.returncode, said.stderr) == (0, ""), (service, said.stderr, said.stdout)
