"""The board of the loop: is the model good, are rows answered, what does the loop do about it?"""

from __future__ import annotations

from infra.tools.dashboards.panel import RATE, Board, Choice, Note, Panel, Row

MINE = 'pipeline=~"$pipeline"'
TURN = "of turns since the monitor started; a restart begins anew"


def board() -> Board:
    return Board(
        "driftloop-loop",
        "Driftloop: the loop",
        "Realised score, drifts, retrains and releases of each pipeline.",
        [Choice("pipeline", "pipeline", 'driftloop_loop_running{job="ingestion"}')],
        [
            Row("Now", _now()),
            Row("How good it is", _scores()),
            Row("What the loop does", _turns()),
            Row("Rows on their way", _rows()),
            Row("Models", _models()),
        ],
        [_releases(), _drifts()],
    )


def _now() -> list[Panel]:
    return [
        _stat("Live version", "The version that answers.",
              f"pipeline:driftloop_model_version:max{{{MINE}}}", "none", 3),
        _stat("Its age", "Since its release.",
              f"pipeline:driftloop_model_age_seconds:min{{{MINE}}}", "s", 3),
        _stat("AUC", "Realised, of the newest labelled rows.",
              f'max by (pipeline) (driftloop_realised_auc{{lane="loop", {MINE}}})', "none", 3),
        _stat("Loss against its reference", "Above 1: worse than the detector expects.",
              f"pipeline:driftloop_realised_loss:ratio{{{MINE}}}", "none", 3),
        _stat("Labelled", "Share of the predicted rows that got a label in time.",
              f"max by (pipeline) (driftloop_label_coverage_ratio{{{MINE}}})", "percentunit", 3),
        _stat("Predictions", "A second, over 5 minutes.",
              f"pipeline:driftloop_predictions:rate5m{{{MINE}}}", "rowsps", 3),
        _stat("From record to score", "99 of 100 rows are faster.",
              f"pipeline:driftloop_score_seconds:p99_5m{{{MINE}}}", "s", 3),
        _stat("Rejected in a row", "Retrains since the last release that brought nothing better.",
              f"max by (pipeline) (driftloop_runs_rejected_in_a_row{{{MINE}}})", "none", 3),
    ]  # fmt: skip


def _scores() -> list[Panel]:
    frozen = "the first model, never replaced"
    return [
        Panel("Realised loss", f"Of the newest labelled rows; frozen: {frozen}; reference: what "
              "the detector compares with.",
              {"{{pipeline}} {{lane}}": "max by (pipeline, lane) "
               f"(driftloop_realised_loss{{{MINE}}})",
               "{{pipeline}} reference":
               f"max by (pipeline) (driftloop_realised_reference_loss{{{MINE}}})"},
              "none", width=12, least=None),
        Panel("Realised AUC", f"Of the same rows; frozen: {frozen}.",
              {"{{pipeline}} {{lane}}":
               f"max by (pipeline, lane) (driftloop_realised_auc{{{MINE}}})"},
              "none", width=12, least=None),
        Panel("Gain of the loop", "AUC of the loop less that of the first model: above 0 the loop "
              "is worth its while.",
              {"{{pipeline}}": f"pipeline:driftloop_realised_auc:gain{{{MINE}}}"}, "none",
              least=None),
        Panel("Drift of the features", "Population stability index, the ten largest; above .25 a "
              "feature is no longer what the model learnt.",
              {"{{pipeline}} {{feature}}":
               f"topk(10, max by (pipeline, feature) (driftloop_psi{{{MINE}}}))"}, "none"),
        Panel("Label coverage", "Share of the predicted rows that got a label within the horizon.",
              {"{{pipeline}}": f"max by (pipeline) (driftloop_label_coverage_ratio{{{MINE}}})"},
              "percentunit"),
    ]  # fmt: skip


def _turns() -> list[Panel]:
    asked, ended = "driftloop_retrains_total", "driftloop_runs_total"
    return [
        Panel("Drifts", "Spoken of since the monitor started, by detector.",
              {"{{pipeline}} {{detector}}":
               f"sum by (pipeline, detector) (driftloop_drifts_total{{{MINE}}})"}),
        Panel("Requests for a retrain", "Answers since the monitor started, by trigger and "
              "outcome.",
              {"{{pipeline}} {{trigger}} {{outcome}}":
               f"max by (pipeline, trigger, outcome) ({asked}{{{MINE}}})"}),
        Panel("Runs", "Ended since the monitor started, by outcome, and under way.",
              {"{{pipeline}} {{outcome}}": f"max by (pipeline, outcome) ({ended}{{{MINE}}})",
               "{{pipeline}} open": f"max by (pipeline) (driftloop_runs_open{{{MINE}}})"}),
        Panel("From drift to redeployed", f"Half and 95 of 100 {TURN}.",
              {"{{pipeline}} p50": _quantile(0.5, "driftloop_redeploy_seconds_bucket"),
               "{{pipeline}} p95": _quantile(0.95, "driftloop_redeploy_seconds_bucket")}, "s"),
        Panel("Stages of a turn", f"95 of 100 {TURN}.",
              {"{{pipeline}} {{stage}}":
               _quantile(0.95, "driftloop_stage_seconds_bucket", "stage")}, "s", "bargauge"),
        Panel("Stages within a day", "95 of 100 of the turns of the last 24 hours.",
              {"{{pipeline}} {{stage}}": f"pipeline_stage:driftloop_stage_seconds:p95_1d{{{MINE}}}",
               "{{pipeline}} in all": f"pipeline:driftloop_redeploy_seconds:p95_1d{{{MINE}}}"},
              "s"),
    ]  # fmt: skip


def _rows() -> list[Panel]:
    return [
        Panel("Source records", "By what became of them.",
              {"{{pipeline}} {{outcome}}": "sum by (pipeline, outcome) "
               f"(rate(driftloop_records_total{{{MINE}}}[{RATE}]))"}, "rowsps"),
        Panel("Dead letters", "By the rule that they broke.",
              {"{{pipeline}} {{rule}}": "sum by (pipeline, rule) "
               f"(increase(driftloop_dead_letters_total{{{MINE}}}[{RATE}]))"}, bars=True),
        Panel("Rows answered", "By serving; and those of them that had no model.",
              {"{{pipeline}}": 'sum by (pipeline) (job_loop_pipeline:driftloop_rows_out:rate1m'
               f'{{job="serving", {MINE}}})',
               "{{pipeline}} NO_MODEL": "sum by (pipeline) "
               f"(rate(driftloop_no_model_rows_total{{{MINE}}}[{RATE}]))"}, "rowsps"),
        Panel("From record to score", "Half and 99 of 100 rows are faster; by version.",
              {"{{pipeline}} p50": f"pipeline:driftloop_score_seconds:p50_5m{{{MINE}}}",
               "{{pipeline}}@{{version}} p99":
               f"pipeline_version:driftloop_score_seconds:p99_5m{{{MINE}}}"}, "s"),
        Panel("One run of the model", "99 of 100 runs are faster; of the stream and of calls.",
              {"{{pipeline}}@{{version}} {{origin}}":
               _recent(0.99, "driftloop_predict_seconds_bucket", "version, origin")}, "s"),
        Panel("Rows of one run", "The mean; large under load, 1 where a lone row is not kept "
              "waiting.",
              {"{{pipeline}} {{origin}}": "sum by (pipeline, origin) "
               f"(rate(driftloop_predict_rows_sum{{{MINE}}}[{RATE}])) / sum by (pipeline, origin) "
               f"(rate(driftloop_predict_rows_count{{{MINE}}}[{RATE}]))"}),
        Panel("Messages behind", "Each loop's, on the way from source to score and label.",
              {"{{pipeline}} {{job}} {{loop}}":
               f"job_loop_pipeline:driftloop_lag_records:sum{{{MINE}}}"}, width=12),
        Panel("Event time reached", "The watermark of each loop: it never falls, and stands where "
              "nothing comes.",
              {"{{pipeline}} {{job}} {{loop}}": "max by (pipeline, job, loop) "
               f"(driftloop_watermark_timestamp_seconds{{{MINE}}}) * 1000"},
              "dateTimeAsIso", width=12, least=None),
    ]  # fmt: skip


def _models() -> list[Panel]:
    return [
        Panel("Fits", "The mean of each learner's, and the rows of the newest.",
              {"{{pipeline}} {{learner}}": "sum by (pipeline, learner) "
               f"(driftloop_fit_seconds_sum{{{MINE}}}) / sum by (pipeline, learner) "
               f"(driftloop_fit_seconds_count{{{MINE}}})"}, "s"),
        Panel("Rows", "Of each learner's newest fit, and of the newest judgement.",
              {"{{pipeline}} {{learner}}":
               f"max by (pipeline, learner) (driftloop_fit_rows{{{MINE}}})",
               "{{pipeline}} judged": f"max by (pipeline) (driftloop_judged_rows{{{MINE}}})"}),
        Panel("Judgements", "The mean of those since evaluation started.",
              {"{{pipeline}}": f"sum by (pipeline) (driftloop_judge_seconds_sum{{{MINE}}}) / "
               f"sum by (pipeline) (driftloop_judge_seconds_count{{{MINE}}})"}, "s"),
        Panel("Versions", "That the registry knows.",
              {"{{pipeline}}": f"max by (pipeline) (driftloop_models{{{MINE}}})"}, width=12),
        Panel("Releases", "When the version that answers was released.",
              {"{{pipeline}}": "max by (pipeline) "
               f"(driftloop_model_released_timestamp_seconds{{{MINE}}} > 0) * 1000"},
              "dateTimeAsIso", width=12, least=None),
    ]  # fmt: skip


def _releases() -> Note:
    changed = f"changes(driftloop_model_version{{{MINE}}}[1m])"
    return Note("Releases", "green", f"max by (pipeline) ({changed}) > 0",
                "{{pipeline}}: another version answers")  # fmt: skip


def _drifts() -> Note:
    """The first of a detector's is a new series, which `increase` does not count."""
    total = f"driftloop_drifts_total{{{MINE}}}"
    more = f"sum by (pipeline, detector) (increase({total}[1m])) > 0"
    first = f"sum by (pipeline, detector) ({total} unless {total} offset 1m)"
    return Note("Drifts", "red", f"{more} or {first}", "{{pipeline}}: {{detector}} speaks of drift")


def _stat(title: str, description: str, expression: str, unit: str, width: int) -> Panel:
    return Panel(title, description, {"{{pipeline}}": expression}, unit, "stat", width, None)


def _quantile(share: float, name: str, by: str = "") -> str:
    """Of all since the process started: a turn is rare, and a rate would not see the first."""
    labels = f"pipeline, {by}, le" if by else "pipeline, le"
    return f"histogram_quantile({share}, sum by ({labels}) ({name}{{{MINE}}}))"


def _recent(share: float, name: str, by: str) -> str:
    return (
        f"histogram_quantile({share}, sum by (pipeline, {by}, le) (rate({name}{{{MINE}}}[{RATE}])))"
    )
