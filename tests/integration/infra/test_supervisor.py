"""The supervisor, with tiny children: they come back, stop in order, tell why they ended, and never
outlive it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from driftloop.kit.errors import Unavailable
from infra.local.ready import serving
from infra.local.supervisor import Service, Supervisor
from tests.support import eventually

ROOT = Path(__file__).parents[3]
FOREVER = "import signal\nwhile True: signal.pause()"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path / "log", said.append)
    yield made
    made.stop()


def a_service(name: str, code: str, folder: Path) -> Service:
    return Service(name, [sys.executable, "-I", "-c", code], dict(os.environ), folder, ready_s=5.0)


def test_a_killed_service_comes_back(
    supervisor: Supervisor, tmp_path: Path, said: list[str]
) -> None:
    supervisor.start([a_service("one", FOREVER, tmp_path)])
    first = supervisor.states()["one"].process.pid

    os.kill(first, signal.SIGKILL)

    eventually(lambda: supervisor.states()["one"].restarts == 1)
    assert supervisor.states()["one"].process.pid != first
    assert said[0].startswith("one ended (signal 9); again in 0.2 s")


def test_the_end_of_a_failing_services_log_is_told(
    supervisor: Supervisor, tmp_path: Path, said: list[str]
) -> None:
    supervisor.start([a_service("one", "raise SystemExit('no such broker: x')", tmp_path)])

    eventually(lambda: said)

    assert "no such broker: x" in said[0]
    assert "code 1" in said[0]


def test_the_time_to_the_next_start_doubles(
    supervisor: Supervisor, tmp_path: Path, said: list[str]
) -> None:
    supervisor.start([a_service("one", "raise SystemExit(3)", tmp_path)])

    eventually(lambda: len(said) >= 3)

    waits = [line.split("again in ")[1].split(" s")[0] for line in said[:3]]
    assert waits == ["0.2", "0.4", "0.8"]


def test_a_service_that_ends_before_it_is_ready_is_given_up_in_words(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    never = Service(
        "one",
        [sys.executable, "-I", "-c", "raise SystemExit('the setting is wrong')"],
        dict(os.environ),
        tmp_path,
        ready=lambda: False,
    )

    with pytest.raises(Unavailable, match="the setting is wrong"):
        supervisor.start([never])


def test_a_port_in_use_is_told_in_a_line_others_live_and_it_starts_once_the_port_is_free(
    supervisor: Supervisor, tmp_path: Path, said: list[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environ = {**os.environ, "GRPC_PORT": str(port), "METRICS_PORT": "0"}
        environ |= {"DRIFTLOOP_DATA": str(tmp_path), "DRIFTLOOP_LOG": "json"}
        probe = [sys.executable, "-m", "tests.integration.kit.probe"]
        supervisor.start([Service("probe", probe, environ, ROOT)])
        supervisor.start([a_service("other", FOREVER, tmp_path)])
        eventually(lambda: len(said) >= 2, within_s=20)
    eventually(lambda: serving(f"127.0.0.1:{port}"), within_s=30)
    assert said[0].startswith("probe ended (code 2); again in 0.2 s")
    assert f"probe: port 127.0.0.1:{port} is in use" in said[0].splitlines()[-1]
    assert "GRPC_PORT" in said[0].splitlines()[-1]
    assert said[1] == "probe ended (code 2); again in 0.4 s, as before"
    assert supervisor.states()["other"].restarts == 0


def test_a_restart_that_is_asked_for_is_no_end_to_tell_of(
    supervisor: Supervisor, tmp_path: Path, said: list[str]
) -> None:
    supervisor.start([a_service("one", FOREVER, tmp_path)])
    first = supervisor.states()["one"].process.pid

    supervisor.restart("one")

    state = supervisor.states()["one"]
    assert state.process.pid != first
    assert (state.restarts, said) == (0, [])


def test_what_was_started_last_is_stopped_first(tmp_path: Path, said: list[str]) -> None:
    record = tmp_path / "order"
    code = (
        "import signal, sys, pathlib\n"
        "def end(*_):\n"
        f"    with open({str(record)!r}, 'a') as file: file.write(sys.argv[1])\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        f"pathlib.Path({str(tmp_path)!r}, 'up-' + sys.argv[1]).touch()\n" + FOREVER
    )
    supervisor = Supervisor(tmp_path / "log", said.append)
    for name in "abc":
        up = tmp_path / f"up-{name}"
        command = [sys.executable, "-I", "-c", code, name]
        service = Service(name, command, dict(os.environ), tmp_path, ready=up.exists)
        supervisor.start([service])

    supervisor.stop()

    assert record.read_text() == "cba"
    assert said == []


def test_a_service_that_ignores_sigterm_is_killed_with_its_children(
    tmp_path: Path, said: list[str]
) -> None:
    code = (
        "import signal, subprocess, sys, pathlib\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"child = subprocess.Popen([sys.executable, '-I', '-c', {FOREVER!r}])\n"
        f"pathlib.Path({str(tmp_path / 'child')!r}).write_text(str(child.pid))\n" + FOREVER
    )
    supervisor = Supervisor(tmp_path / "log", said.append)
    supervisor.start([a_service("deaf", code, tmp_path)])
    child = int(eventually(lambda: (tmp_path / "child").exists() and _text(tmp_path / "child")))

    supervisor.stop(stop_s=0.3)

    assert said == ["deaf did not stop in time and was killed"]
    eventually(lambda: not _runs(child))


def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib, signal\n"
        "from infra.local.supervisor import Service, Supervisor\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "supervisor = Supervisor(folder / 'log', print)\n"
        f"command = [sys.executable, '-I', '-c', {FOREVER!r}]\n"
        "supervisor.start([Service('one', command, dict(os.environ), folder)])\n"
        "(folder / 'pid').write_text(str(supervisor.states()['one'].process.pid))\n" + FOREVER
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT) as holder:
        pid = int(eventually(lambda: (tmp_path / "pid").exists() and _text(tmp_path / "pid")))

        holder.kill()

    eventually(lambda: not _runs(pid))


def test_usage_counts_what_killed_starts_have_used(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start([a_service("busy", "while True: sum(range(10_000))", tmp_path)])
    eventually(lambda: supervisor.usage().get("busy") and supervisor.usage()["busy"].cpu_s >= 0.2)
    before = supervisor.usage()["busy"].cpu_s

    os.kill(supervisor.states()["busy"].process.pid, signal.SIGKILL)
    eventually(lambda: supervisor.states()["busy"].restarts == 1)

    after = supervisor.usage()["busy"]
    assert after.cpu_s >= before
    assert after.rss_mb > 1.0


def test_the_watching_leash_ends_its_command_when_its_input_closes(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from infra.local.leash import watch\n"
        f"file = {str(tmp_path / 'pid')!r}\n"
        "tell = f'import os, pathlib; pathlib.Path({file!r}).write_text(str(os.getpid()))'\n"
        f"sys.exit(watch([sys.executable, '-I', '-c', tell + '\\n' + {FOREVER!r}]))\n"
    )
    leash = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE)
    pid = int(eventually(lambda: (tmp_path / "pid").exists() and _text(tmp_path / "pid")))

    leash.communicate()  # closes its stdin, as the kernel does for a supervisor that is gone

    assert leash.returncode == 128 + signal.SIGKILL
    assert not _runs(pid)


def _text(path: Path) -> str:
    return path.read_text()


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
