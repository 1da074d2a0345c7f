"""What bars a candidate whatever its gain; the others are judged as if it were not there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from driftloop import spec
from driftloop.kit.broker import Broker
from services.evaluation.domain import Case, Limits, Rule, barred, judge
from services.evaluation.judge import Court
from services.evaluation.plan import Champion, Plan
from tests.support.loop import sea_yaml
from tests.unit.evaluation.stories import GOOD, Shelf, trained
from tests.unit.training.examples import NAMES, a_log

ROWS = 1_000
KIND = np.repeat([1.0, 2.0], ROWS // 2).astype(np.float32)
BETTER_BUT_IN_2 = np.where(KIND == 1.0, 0.5, -0.1)


def case(**known: object) -> Case:
    of: dict[str, object] = {"bytes": 900, "row_us": 40.0, "calibration_error": 0.05}
    return Case(**{**of, "gain": BETTER_BUT_IN_2, **known})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(bytes=899), "900 bytes, at most 899"),
        (Limits(row_us=39.5), "40 µs a row, at most 39.5"),
        (Limits(calibration_error=0.04), "calibration error 0.050, at most 0.04"),
        (Limits(slice_margin=0.05), "where kind is 2 worse by 0.1000 over 500 rows, at most 0.05"),
        (Limits(bytes=900, row_us=40.0, calibration_error=0.05, slice_margin=0.1), ""),
        (Limits(bytes=1, row_us=1.0), "900 bytes, at most 1; 40 µs a row, at most 1"),
    ],
)
def test_each_limit_bars_what_is_beyond_it_and_nothing_else(limits: Limits, says: str) -> None:
    assert barred(limits, case(), {"kind": KIND}) == says


def test_a_slice_of_few_rows_and_a_missing_figure_bar_nobody() -> None:
    few = np.where(np.arange(ROWS) < 99, 2.0, 1.0).astype(np.float32)
    gain = np.where(few == 2.0, -9.0, 1.0)
    assert barred(Limits(slice_margin=0.0), case(gain=gain), {"kind": few}) == ""
    assert barred(Limits(calibration_error=0.01), case(calibration_error=None), {}) == ""


def test_who_is_barred_does_not_win_and_asks_nothing_more_of_the_others() -> None:
    rng = np.random.default_rng(3)
    gains: Mapping[str, np.ndarray] = {
        "best": rng.normal(1.0, 1.0, ROWS),
        "next": rng.normal(0.2, 1.0, ROWS),
    }
    ruling = judge(gains, Rule(), 1, {"best": "too large"})
    alone = judge({"next": gains["next"]}, Rule(), 1)

    assert ruling.winner == "next"
    assert ruling.judgements[1] == alone.judgements[0]
    assert (ruling.judgements[0].eligible, ruling.judgements[0].reason) == (
        False,
        "barred: too large",
    )
    nobody = judge(gains, Rule(), 1, {"best": "too large", "next": "too slow"})
    assert (nobody.winner, nobody.reason) == (
        "",
        "best is barred: too large; next is barred: too slow",
    )


@pytest.fixture(scope="module")
def log() -> Broker:
    return a_log(3_000)


@pytest.mark.parametrize(
    ("limits", "outcome", "says"),
    [
        (Limits(bytes=100), "rejected", "bytes, at most 100"),
        (Limits(row_us=0.001), "rejected", "µs a row, at most 0.001"),
        (Limits(bytes=10_000_000, row_us=1e6, slice_margin=0.5), "released", "good"),
    ],
)
def test_the_gate_says_its_limits_and_who_is_beyond(
    log: Broker, limits: Limits, outcome: str, says: str
) -> None:
    shelf = Shelf()
    run = trained(log, shelf, [GOOD])
    of = run.SerializeToString(), Champion(), "log_loss", 0.95, 0.5
    plan = Plan(*of, limits=limits, slices={NAMES[0]: 0})

    said = Court(plan, shelf.fetch, log).evaluated()

    assert (said.outcome, limits.text() in said.rule) == (outcome, True)
    assert says in said.reason


def test_limits_stand_in_the_pipeline_file() -> None:
    limits = "{bytes: 1000000, row_us: 500, calibration_error: 0.1, slice_margin: 0.02}"
    judged = f"evaluation: {{slices: [sensor], limits: {limits}, holdout:"
    text = sea_yaml().replace("evaluation: {holdout:", judged)
    said = spec.parse(text).evaluation

    assert said.slices == ("sensor",)
    assert (said.limits.bytes, said.limits.row_us) == (1_000_000, 500)
    wrong = text.replace("slices: [sensor]", "slices: [sensors]")
    with pytest.raises(spec.Mistakes, match=r"sensors.*sensor"):
        spec.parse(wrong)
