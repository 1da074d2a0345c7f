"""The table of the house: which room may import what. `test_rooms` holds the sources to it.

A room is a module or a folder of them; the first row that matches a module is its row. Standard
library modules are free but for those that a row bars. `*` in a grant stands for any end of the
name.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.contract.grants import (
    CLOCKS,
    CONTRACTS,
    DATA,
    DECISION,
    ERRORS,
    KIT,
    OWN,
    PLUGINS,
    PROTO,
    RECORD,
    SERVICE,
    SPEC,
    WEB,
    Room,
)

ROOMS: Sequence[Room] = (
    Room(r"driftloop\.contracts(\..*)?", (*PROTO, "grpc", "driftloop.kit.topic", *CONTRACTS)),
    Room(
        r"driftloop\.kit\.kafka(\..*)?",
        (*KIT, "confluent_kafka", "confluent_kafka.*"),
        why="the only door to Kafka",
    ),
    Room(
        r"driftloop\.kit\.(rpc|rpc_around|rpc_trace|health|probe)",
        (*KIT, "grpc", "grpc_health.*"),
        why="the only door to gRPC in the kit",
    ),
    Room(
        r"driftloop\.kit\.trace\.otel",
        (*KIT, "opentelemetry", "opentelemetry.*"),
        why="the only door to OpenTelemetry, imported only where an endpoint is set",
    ),
    Room(
        r"driftloop\.kit\.metrics(\..*)?",
        (*KIT, "prometheus_client", "prometheus_client.*", "numpy", "numpy.*"),
    ),
    Room(
        r"driftloop\.kit\.run",
        (*KIT, "grpc"),
        why="a process's life takes servicers, which speak of grpc.Server",
    ),
    Room(
        r"driftloop\.kit\.envelope",
        (*KIT, "numpy", "numpy.*", "pyarrow"),
        why="the only door to Arrow on the data plane",
    ),
    Room(
        r"driftloop\.kit\.objects",
        (*KIT, "obstore", "obstore.*"),
        why="the only door to object stores",
    ),
    Room(
        r"driftloop\.kit(\..*)?", (*KIT, *PROTO, "numpy", "numpy.*", "numba", "numba.*", "psutil")
    ),
    Room(
        r"driftloop\.spec\.(windows|kernel.*)",
        (*SPEC, "numpy", "numpy.*", "numba", "numba.*"),
        CLOCKS,
        "the kernel of the windows",
    ),
    Room(
        r"driftloop\.spec(\..*)?",
        (*SPEC, "numpy", "numpy.*", "pydantic", "pydantic.*", "pydantic_core", "yaml", "yaml.*"),
        CLOCKS,
    ),
    Room(
        r"driftloop\.service",
        (*CONTRACTS, *KIT, *SPEC, *PROTO, "grpc"),
        why="the glue: kit and contracts meet here",
    ),
    Room(
        r"driftloop\.topology",
        (*CONTRACTS, "driftloop.kit.broker", "driftloop.kit.topic"),
        why="which topics there must be: the registry makes them, the client checks them",
    ),
    Room(
        r"driftloop\.(archive|event_times)",
        ("driftloop", "driftloop.dataset", *CONTRACTS, *KIT, *DATA),
        CLOCKS,
        "windows by their record, and event times as offsets: for training and evaluation",
    ),
    Room(
        r"driftloop\.dataset",
        (*CONTRACTS, *KIT, *SPEC, *DATA),
        CLOCKS,
        "examples as arrays, for training and evaluation",
    ),
    Room(
        r"driftloop\.river_onnx(\..*)?",
        (
            *("driftloop.river_onnx", "driftloop.river_onnx.*", "numpy", "numpy.*"),
            *("onnx", "onnx.*", "river", "river.*"),
        ),
        CLOCKS,
        "River's learners as ONNX: a library of its own, which others may import",
    ),
    Room(
        r"driftloop\.folds",
        ("numpy", "numpy.*"),
        CLOCKS,
        "numbers of rows alone",
    ),
    Room(
        r"driftloop\.betting",
        ("numpy", "numpy.*"),
        CLOCKS,
        "evidence against what is live: the monitor gathers it, evaluation judges by it",
    ),
    Room(
        r"driftloop\.statistics",
        ("numpy", "numpy.*"),
        CLOCKS,
        "how statistics are laid out: the monitor writes them, the page reads them",
    ),
    Room(
        r"driftloop\.web\.(app|guard|streams)",
        (*WEB, "starlette", "starlette.*"),
        ("os", "socket", "random", "time"),
        "the doors of the page: routes, who may ask, events",
    ),
    Room(
        r"driftloop\.web\.serve",
        (*WEB, "uvicorn"),
        ("os", "random", "time"),
        "the page's process, the only one that listens",
    ),
    Room(
        r"driftloop\.web(\..*)?",
        WEB,
        (*CLOCKS[:2], "random", "socket"),
        "a client like any other: topics in, sections out",
    ),
    Room(
        r"driftloop\.plots(\..*)?",
        (
            "driftloop.plots.*",
            "driftloop.web.paper",
            "driftloop.client.story",
            "optuna",
            "optuna.*",
        ),
        why="a run's report, by Optuna's own plots",
    ),
    Room(
        r"driftloop\.plugins(\..*)?",
        ("driftloop.plugins", "driftloop.plugins.*", "numpy", "numpy.*"),
    ),
    Room(
        r"driftloop\.client\.calls",
        ("driftloop.client.*", *CONTRACTS, *KIT, "grpc", "grpc_health.*"),
        why="names the statuses of a refusal; asks each service's health",
    ),
    Room(
        r"driftloop\.client(\..*)?",
        (
            "driftloop.client",
            "driftloop.client.*",
            "driftloop.statistics",
            "driftloop.topology",
            *CONTRACTS,
            *KIT,
            *SPEC,
            *PLUGINS,
            *PROTO,
            *DATA,
            "driftloop",
        ),
    ),
    Room(
        r"driftloop\.trial(\..*)?",
        (
            "driftloop.trial",
            "driftloop.trial.*",
            "driftloop.client",
            "driftloop.client.*",
            "driftloop.web",
            "driftloop.web.report",
            *KIT,
            *SPEC,
            *DATA,
            "driftloop",
        ),
        (*CLOCKS, "socket", "os"),
        "frames in, text and events out; a client of whatever stack there is",
    ),
    Room(
        r"driftloop\.mlflow\.within",
        ("mlflow", "mlflow.*", "onnx", "yaml", "google.protobuf.*"),
        why="MLflow's client, in a process and mostly an environment of its own",
    ),
    Room(
        r"driftloop\.mlflow(\..*)?",
        ("driftloop.mlflow", "driftloop.mlflow.*", "driftloop.client", "driftloop.client.*", *KIT),
        (*CLOCKS, "socket"),
        "a client of ours beside one of MLflow's",
    ),
    Room(
        r"driftloop\.cli\.mlflow",
        ("driftloop.cli.*", "driftloop.mlflow", "driftloop.mlflow.*", "typer", "typer.*"),
        why="MLflow's door",
    ),
    Room(
        r"driftloop\.cli\.plugin",
        ("driftloop.cli.*", "driftloop.client", "driftloop.plugins.scaffold", "typer", "typer.*"),
        why="writes what the scaffold says",
    ),
    Room(
        r"driftloop\.cli\.trying",
        (
            "driftloop.cli.*",
            "driftloop.client",
            "driftloop.client.*",
            "driftloop.trial",
            "driftloop.trial.*",
            "driftloop",
            *KIT,
            *SPEC,
            "typer",
            "rich.*",
        ),
        why="starts a stack where none runs, and the trial",
    ),
    Room(
        r"driftloop\.cli(\..*)?",
        (
            "driftloop.plots.*",
            "driftloop.cli",
            "driftloop.cli.*",
            "driftloop.client",
            "driftloop.client.*",
            "driftloop.web.*",
            "driftloop",
            *SPEC,
            "typer",
            "typer.*",
            "rich.*",
        ),
    ),
    Room(r"driftloop", ("driftloop.client", "driftloop.spec")),
    Room(
        r"services\.monitor\.live(_.*)?",
        (
            *CONTRACTS,
            *KIT,
            *PROTO,
            "driftloop.service",
            "faust",
            "faust.*",
            "mode",
            "mode.*",
            "services.monitor.*",
        ),
        why="the Faust app: pulses only",
    ),
    Room(
        rf"services\.{SERVICE}\.domain(\..*)?",
        (
            "services.{0}.domain",
            "services.{0}.domain.*",
            "driftloop.betting",
            "driftloop.statistics",
            *SPEC,
            *DATA,
            *DECISION,
        ),
        CLOCKS,
        "decisions are pure: plain values, arrays, and the library that the decision needs",
    ),
    Room(
        rf"services\.{SERVICE}\.codec(\..*)?",
        (*OWN, *CONTRACTS, *PROTO, *SPEC, *DATA, *ERRORS, "driftloop.dataset"),
        CLOCKS,
    ),
    Room(
        rf"services\.{SERVICE}\.handlers(\..*)?",
        (*OWN, *CONTRACTS, *PROTO, *SPEC, *DATA, *KIT, "driftloop.dataset"),
        ("os", "socket", "random"),
    ),
    Room(
        rf"services\.{SERVICE}\.(rpc|calls)", (*OWN, *CONTRACTS, *PROTO, *SPEC, *DATA, *KIT, "grpc")
    ),
    Room(
        r"services\.training\.online\.(line|estimators)",
        (
            "services.training.online.*",
            *SPEC,
            "numpy",
            "numpy.*",
            "driftloop.river_onnx",
            "river",
            "river.*",
        ),
        CLOCKS[:2],
        "an online learner: River's, and its export",
    ),
    Room(
        r"services\.evaluation\.(record|judge)",
        ("services.evaluation.*", *CONTRACTS, *DATA, *KIT, *RECORD, "driftloop.betting"),
        CLOCKS,
        "the record of lines",
    ),
    Room(
        rf"services\.{SERVICE}\.(onnx|learners.*|fit.*|tuning|studies|searching|crew"
        rf"|given|rebuild|export.*)",
        (
            *OWN,
            *CONTRACTS,
            *PROTO,
            *SPEC,
            *DATA,
            *KIT,
            *DECISION,
            *PLUGINS,
            *RECORD,
            "driftloop.folds",
        ),
    ),
    Room(
        rf"services\.{SERVICE}(\..*)?",
        (
            *OWN,
            *CONTRACTS,
            *PROTO,
            *SPEC,
            *DATA,
            *KIT,
            "driftloop.service",
            *RECORD,
            "driftloop.topology",
            *PLUGINS,
            "grpc",
        ),
        why="a service: itself, and driftloop",
    ),
    Room(r"services", ()),
    Room(
        r"infra(\..*)?",
        ("*",),
        why="what surrounds it is free; nothing of ours imports it but tests",
    ),
    Room(r"tests\.unit(\..*)?", ("*",), ()),
    Room(r"tests(\..*)?", ("*",)),
)
NEVER: Sequence[tuple[str, str]] = (  # (who, whom), whatever a row grants
    (r"driftloop(\..*)?", r"services(\..*)?"),
    (r"(driftloop|services)(\..*)?", r"(infra|tests)(\..*)?"),
    (r"services(\..*)?", r"driftloop\.(cli|client)(\..*)?"),
    (r"infra\.tools(\..*)?", r"tests(\..*)?"),
    (r"tests\.unit(\..*)?", r"(confluent_kafka|faust)(\..*)?"),
)
