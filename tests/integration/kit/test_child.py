"""Long work in a real child: it ends with a result, an error or a kill, and never outlives its
parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from driftloop.kit.child import Child, Children, Finished, go_first
from tests.support import eventually

STORIES = "tests.integration.kit.stories_child"


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    children = Children([STORIES])
    yield children
    children.close()


def a_child(
    children: Children,
    story: str,
    seconds_max: float = 20.0,
    memory_mb_max: int = 200,
    **argument: Any,
) -> Child:
    return children.start(
        story, f"{STORIES}:{story}", argument, seconds_max=seconds_max, memory_mb_max=memory_mb_max
    )


def end(child: Child) -> Finished:
    return eventually(child.poll)  # type: ignore[return-value]  # never None once true


def test_a_result_and_its_progress_come_back(children: Children) -> None:
    child = a_child(children, "add", numbers=[1, 2], bytes=3_000_000)
    finished = end(child)
    assert finished.result is not None
    assert (finished.result["sum"], len(finished.result["bytes"])) == (3, 3_000_000)
    assert child.progress() == [{"stage": "adding"}]
    assert child.progress() == []
    assert child.poll() is finished


def test_an_exception_comes_back_as_one_line_with_its_traceback(children: Children) -> None:
    finished = end(a_child(children, "fail"))
    assert (finished.result, finished.error, finished.killed) == (
        None,
        "ValueError: no rows",
        False,
    )
    assert "stories_child.py" in finished.detail


def test_what_is_no_dict_is_an_error(children: Children) -> None:
    assert "gave back NoneType, wanted dict" in end(a_child(children, "give_none")).error


def test_a_missing_function_is_an_error(children: Children) -> None:
    assert "AttributeError" in end(a_child(children, "nobody")).error


def test_cancel_kills(children: Children) -> None:
    child = a_child(children, "work_for_ever")
    eventually(child.progress)
    child.cancel()
    assert end(child) == Finished(None, "cancelled", killed=True)
    eventually(lambda: not alive(child.pid))


def test_too_much_memory_is_refused(children: Children) -> None:
    assert end(a_child(children, "eat", mb=50)).result == {"bytes": 50_000_000}
    finished = end(a_child(children, "eat", mb=500))
    assert finished.killed
    assert finished.error == "out of memory: it may take 200 MB beyond what it starts with"


def test_too_long_is_ended_though_nobody_polls(children: Children) -> None:
    child = a_child(children, "work_for_ever", seconds_max=0.3)
    eventually(lambda: not alive(child.pid))
    assert end(child) == Finished(None, "took longer than 0.3 s", killed=True)


def test_a_child_killed_by_others_says_by_what(children: Children) -> None:
    child = a_child(children, "work_for_ever")
    os.kill(child.pid, signal.SIGTERM)
    assert end(child).error == "killed by SIGTERM"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such killer")
def test_a_child_goes_first_where_memory_runs_out_and_says_so(children: Children) -> None:
    child = a_child(children, "work_for_ever")
    eventually(child.progress)
    mine = int(Path("/proc/self/oom_score_adj").read_text())
    assert int(Path(f"/proc/{child.pid}/oom_score_adj").read_text()) >= mine + 500
    os.kill(child.pid, signal.SIGKILL)  # as the kernel does then
    finished = end(child)
    assert finished.killed
    assert finished.error.startswith("killed by SIGKILL, as Linux does where memory runs out")
    assert "200 MB" in finished.error


def test_where_the_score_can_not_be_raised_the_work_is_done_all_the_same(tmp_path: Path) -> None:
    score = tmp_path / "oom_score_adj"
    go_first(score)  # a system that has none
    assert not score.exists()

    score.mkdir()  # a sandbox that refuses
    go_first(score)

    score = tmp_path / "own"
    score.write_text("5\n")
    go_first(score)
    assert score.read_text() == "800"


def test_a_child_that_vanishes_says_its_status(children: Children) -> None:
    assert end(a_child(children, "vanish")).error == "ended with status 3 and no result"


def test_children_die_with_their_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    parent.communicate()
    eventually(lambda: not alive(pid))


PARENT = f"""
import time
from driftloop.kit.child import Children
child = Children().start("x", "{STORIES}:work_for_ever", {{}}, seconds_max=60, memory_mb_max=200)
while not (told := child.progress()):
    time.sleep(0.01)
print(told[0]["pid"], flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
