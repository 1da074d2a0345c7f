"""The compose files and the Dockerfile, read without Docker: every service is contained, nothing is
published beyond this machine, and an image has what its service imports and no more.
"""

from __future__ import annotations

import ast
import functools
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml

from driftloop.service import PORTS
from infra.local import kafka

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
COMPOSE = yaml.safe_load((INFRA / "compose.yaml").read_text())
DOCKERFILE = (INFRA / "Dockerfile").read_text()
OVERLAYS = ("external", "gpu", "objects")
IMAGES = [name for name, each in COMPOSE["services"].items() if "build" in each]


def mistakes(name: str, service: Mapping[str, Any]) -> list[str]:
    """What a service lacks."""
    wanted = {
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "stop_grace_period": "10s",
        "restart": "no" if name == "demo" else "unless-stopped",
    }
    lacking = [key for key, value in wanted.items() if service.get(key) != value]
    lacking += [key for key in ("mem_limit", "pids_limit") if not service.get(key)]
    lacking += [] if asked_for_its_health(service) is (name != "demo") else ["healthcheck"]
    lacking += [key for key in ("privileged", "container_name", "network_mode") if key in service]
    lacking += [port for port in service.get("ports", ()) if not port.startswith("127.0.0.1:")]
    tag = str(service.get("image", "")).rpartition(":")[2]
    return lacking + ([f"image {service.get('image')}"] if not re.search(r"\d", tag) else [])


def asked_for_its_health(service: Mapping[str, Any]) -> bool:
    """Not the demo, which ends by itself."""
    check = service.get("healthcheck") or {}
    return bool(check.get("test")) and not check.get("disable")


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_service_is_contained(name: str) -> None:
    assert mistakes(name, COMPOSE["services"][name]) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"read_only": False},
        {"cap_drop": []},
        {"security_opt": []},
        {"mem_limit": None},
        {"healthcheck": None},
        {"healthcheck": {"disable": True}},
        {"healthcheck": {"interval": "20s"}},
        {"privileged": True},
        {"container_name": "features"},
        {"ports": ["17102:17102"]},
        {"ports": ["0.0.0.0:17102:17102"]},
        {"image": "driftloop-features:latest"},
        {"image": "driftloop-features"},
        {"restart": "no"},
    ],
)
def test_a_service_that_is_not_contained_is_seen(wrong: dict[str, Any]) -> None:
    assert mistakes("features", {**COMPOSE["services"]["features"], **wrong}) != []


def test_every_service_is_there_and_asked_for_its_health_at_its_own_port() -> None:
    services = COMPOSE["services"]

    assert set(services) >= {*PORTS, "kafka", "live", "web", "prometheus", "demo"}
    for name, port in PORTS.items():
        assert services[name]["healthcheck"]["test"][-1] == f"127.0.0.1:{port}", name
        assert services[name]["build"]["args"]["SERVICE"] == name


def test_no_replica_shares_a_slot_a_port_or_a_volume_with_another() -> None:
    for name in ("features", "serving"):
        service = COMPOSE["services"][name]
        (port,) = service["ports"]

        assert "DRIFTLOOP_SLOT" not in service["environment"]
        assert re.search(r":-\d+-\d+}:\d+$", port), "a range, so that each replica finds one"
        assert "volumes" not in service


def test_the_broker_is_set_as_the_local_one() -> None:
    """infra/local/kafka.py says why; what differs is where it listens and what the image does."""
    environ = COMPOSE["services"]["kafka"]["environment"]
    own = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in environ.items()
        if name.startswith("KAFKA_")
    }
    elsewhere = {"node.id", "process.roles", "controller.listener.names"}
    elsewhere |= {"listener.security.protocol.map"}

    assert {n: own.get(n) for n in kafka.SETTINGS if n not in elsewhere} == {
        n: v for n, v in kafka.SETTINGS.items() if n not in elsewhere
    }


def test_the_dockerfile_needs_nothing_that_has_to_be_pulled_beside_its_base() -> None:
    assert not re.search(r"^#\s*syntax", DOCKERFILE, re.MULTILINE)
    assert re.findall(r"^ARG PYTHON=(\S+)$", DOCKERFILE, re.MULTILINE) == [
        "python:3.13-slim-trixie"
    ]
    assert ":latest" not in DOCKERFILE


def test_every_image_ends_as_a_user_that_is_not_root() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    ends = [stage for stage in stages if re.search(r"^CMD ", stage, re.MULTILINE)]

    assert len(ends) == 4
    assert all("\nUSER 10001:10001\n" in stage for stage in ends)


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_has_what_its_service_imports(name: str) -> None:
    assert imported(name) - installed(name) == LEFT_OUT.get(name, set())


def test_what_only_training_needs_is_in_no_other_service() -> None:
    heavy = {"lightgbm", "scikit-learn"}

    assert heavy <= installed("training")
    for name in set(PORTS) - {"training"}:
        assert installed(name) & heavy == set(), name


def test_a_missing_package_would_be_seen() -> None:
    assert "onnxruntime" in imported("serving") - installed("registry")


# driftloop.kit.envelope imports numba in the two functions that hash keys, which these never call.
LEFT_OUT = {name: {"numba"} for name in ("training", "monitor", "web")}
CODE = {"live": ["services.monitor.live"], "web": ["driftloop.cli.web"], "demo": ["infra.demo"]}


def installed(name: str) -> set[str]:
    lock = (ROOT / "requirements" / "images" / f"{name}.lock").read_text()
    return {found.lower() for found in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}


def imported(name: str) -> set[str]:
    """Distributions that a service's modules import, those of the library that they reach
    included."""
    distributions = known()
    outside = set[str]()
    for module in reached(name):
        outside |= {each.partition(".")[0] for each in imports(module)}
    return {
        distributions[top][0].lower().replace("_", "-")
        for top in outside
        if top in distributions and distributions[top][0] != "driftloop"
    }


@functools.cache
def known() -> Mapping[str, list[str]]:
    return packages_distributions()


def reached(name: str) -> set[str]:
    """Our modules, as far as imports lead."""
    waiting = list(CODE.get(name) or [f"services.{name}.__main__", f"services.{name}.app"])
    seen = set[str]()
    while waiting:
        module = waiting.pop()
        if module in seen or path(module) is None:
            continue
        seen.add(module)
        waiting += [each for each in imports(module) if ours(each)]
    return seen


@functools.cache
def imports(module: str) -> frozenset[str]:
    """All names that a module imports, inside functions too; not those for types alone."""
    file = path(module)
    assert file is not None, module
    names: list[str] = []
    for node in runtime(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return frozenset(names)


def runtime(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        return
    for child in ast.iter_child_nodes(node):
        yield from runtime(child)


def path(module: str) -> Path | None:
    base = ROOT / module.replace(".", "/")
    return next((p for p in (base / "__init__.py", base.with_suffix(".py")) if p.is_file()), None)


def ours(module: str) -> bool:
    return module.partition(".")[0] in ("driftloop", "services", "infra")


@pytest.mark.parametrize("overlay", [None, *OVERLAYS])
def test_docker_compose_takes_the_files(overlay: str | None) -> None:
    if shutil.which("docker") is None:
        pytest.skip("no docker here")
    asked = subprocess.run(["docker", "compose", "version"], check=False, capture_output=True)
    if asked.returncode:
        pytest.skip("docker has no compose here")
    files = [INFRA / "compose.yaml", *([INFRA / f"compose.{overlay}.yaml"] if overlay else [])]
    words = [word for file in files for word in ("--file", str(file))]
    environ = {**os.environ, "KAFKA_BOOTSTRAP": "broker.example:9093", "OBJECTS": "s3://b"}

    done = subprocess.run(
        ["docker", "compose", "--profile", "*", *words, "config", "--quiet"],
        check=False,
        capture_output=True,
        text=True,
        env=environ,
    )

    assert (done.returncode, done.stderr) == (0, "")
