"""The board of the services: who is up, who is behind, what it costs."""

from __future__ import annotations

from infra.tools.dashboards.panel import RATE, Board, Choice, Panel, Row

MINE = 'job=~"$service"'
WHO = "{{job}} {{loop}} {{pipeline}}"


def board() -> Board:
    return Board(
        "driftloop-services",
        "Driftloop: the services",
        "Replicas, loops, calls and processes of the seven services.",
        [Choice("service", "job", "driftloop_build_info")],
        [
            Row("Now", _now()),
            Row("Loops", _loops()),
            Row("Calls", _calls()),
            Row("Processes", _processes()),
        ],
    )


def _now() -> list[Panel]:
    return [
        _stat("Replicas that answer", "By service.", f"job:up:sum{{{MINE}}}", 8),
        _stat("Loops that run", "By service; a loop that stands by in a replica is not counted.",
              f"sum by (job) (job_loop_pipeline:driftloop_loop_running:max{{{MINE}}})", 8),
        _stat("Messages behind", "By service.",
              f"sum by (job) (job_loop_pipeline:driftloop_lag_records:sum{{{MINE}}})", 8),
        Panel("Alerts that fire", "RUNBOOK.md says what to do for each.",
              {"": 'ALERTS{alertstate="firing"}'}, kind="table", width=12, least=None),
        Panel("Builds", "Of each process; and where models run.",
              {"": f"driftloop_build_info{{{MINE}}}", "{{provider}}": "driftloop_provider_info"},
              kind="table", width=12, least=None),
    ]  # fmt: skip


def _loops() -> list[Panel]:
    return [
        Panel("Rows in", "A second, by loop.",
              {WHO: f"job_loop_pipeline:driftloop_rows_in:rate1m{{{MINE}}}"}, "rowsps"),
        Panel("Rows out", "A second, by loop.",
              {WHO: f"job_loop_pipeline:driftloop_rows_out:rate1m{{{MINE}}}"}, "rowsps"),
        Panel("Messages behind", "The inputs' ends less what the loop has read.",
              {WHO: f"job_loop_pipeline:driftloop_lag_records:sum{{{MINE}}}"}),
        Panel("A batch", "99 of 100 are faster.",
              {WHO: f"job_loop_pipeline:driftloop_batch_seconds:p99_5m{{{MINE}}}"}, "s"),
        Panel("A commit", "99 of 100 transactions are faster, from begin to the broker's answer.",
              {WHO: f"job_loop_pipeline:driftloop_commit_seconds:p99_5m{{{MINE}}}"}, "s"),
        Panel("Commits", "A second; a silent pipeline commits a heartbeat a second.",
              {WHO: "sum by (job, loop, pipeline) "
               f"(rate(driftloop_commits_total{{{MINE}}}[{RATE}]))"}, "ops"),
        Panel("Aborts", "Transactions and sessions given up; a restart makes one or two.",
              {WHO: "sum by (job, loop, pipeline) "
               f"(increase(driftloop_aborts_total{{{MINE}}}[{RATE}]))"}, bars=True),
        Panel("Queues", "Rows, calls or runs that wait inside the processes.",
              {"{{job}} {{loop}} {{pipeline}} {{queue}}":
               f"sum by (job, loop, pipeline, queue) (driftloop_queue_rows{{{MINE}}})"}),
        Panel("State", "Rows or keys that the loops remember.",
              {WHO: f"sum by (job, loop, pipeline) (driftloop_state_rows{{{MINE}}})"}),
        Panel("Memory of the state", "Of the arrays; what is beside them is estimated.",
              {WHO: f"sum by (job, loop, pipeline) (driftloop_state_bytes{{{MINE}}})"}, "bytes",
              width=12),
        Panel("Loops that do not run", "0 where no replica runs the loop.",
              {WHO: f"job_loop_pipeline:driftloop_loop_running:max{{{MINE}}} == 0"}, width=12,
              least=None),
    ]  # fmt: skip


def _calls() -> list[Panel]:
    return [
        Panel("Calls", "A second, by method.",
              {"{{job}} {{method}}": "sum by (job, method) "
               f"(rate(driftloop_rpc_seconds_count{{{MINE}}}[{RATE}]))"}, "reqps"),
        Panel("A call", "Half and 99 of 100 are faster.",
              {"{{job}} {{method}} p50": f"job_method:driftloop_rpc_seconds:p50_5m{{{MINE}}}",
               "{{job}} {{method}} p99": f"job_method:driftloop_rpc_seconds:p99_5m{{{MINE}}}"},
              "s"),
        Panel("Other answers than OK", "By code.",
              {"{{job}} {{method}} {{code}}": "sum by (job, method, code) "
               f'(increase(driftloop_rpc_seconds_count{{code!="OK", {MINE}}}[{RATE}]))'},
              bars=True),
        Panel("Faults", "Share of the calls that ended with a fault of the service's.",
              {"{{job}}": f"job:driftloop_rpc_failures:ratio5m{{{MINE}}}"}, "percentunit",
              width=12),
        Panel("Calls not logged", "Rows of calls that were answered and are not in `predictions`.",
              {"{{pipeline}}": "sum by (pipeline) "
               f"(increase(driftloop_calls_dropped_total{{{MINE}}}[{RATE}]))"}, width=12,
              bars=True),
    ]  # fmt: skip


def _processes() -> list[Panel]:
    one = "{{job}} {{instance}}"
    return [
        Panel("CPU", "Cores in use.",
              {one: f"rate(process_cpu_seconds_total{{{MINE}}}[{RATE}])"}, "none"),
        Panel("Memory", "Resident; a child's (training, evaluation) is its own.",
              {one: f"process_resident_memory_bytes{{{MINE}}}"}, "bytes"),
        Panel("File descriptors", "Open ones, as a share of what is allowed.",
              {one: f"process_open_fds{{{MINE}}} / process_max_fds{{{MINE}}}"}, "percentunit"),
        Panel("Children", "Processes that fit or judge.",
              {"{{job}}": f"sum by (job) (driftloop_children{{{MINE}}})"}),
        Panel("Running since", "A step is a new start.",
              {one: f"process_start_time_seconds{{{MINE}}} * 1000"}, "dateTimeAsIso", least=None),
        Panel("Pulses lost", "Pulses that the broker did not take; the live view misses them.",
              {"{{job}}": "sum by (job) "
               f"(increase(driftloop_pulses_lost_total{{{MINE}}}[{RATE}]))"}, bars=True),
        Panel("Spans", "A second, for the OTLP receiver: sent, or lost by a receiver that is away.",
              {"{{job}} {{outcome}}": "sum by (job, outcome) "
               f"(rate(driftloop_spans_total{{{MINE}}}[{RATE}]))"}, "ops"),
        Panel("Artifacts", "All that the registry keeps.",
              {"bytes": "max(driftloop_artifact_bytes)"}, "bytes"),
        Panel("Pipelines", "Declared at the registry.",
              {"pipelines": "max(driftloop_pipelines)"}),
    ]  # fmt: skip


def _stat(title: str, description: str, expression: str, width: int) -> Panel:
    return Panel(title, description, {"{{job}}": expression}, "none", "stat", width)
