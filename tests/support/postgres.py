"""A real PostgreSQL for tests, on a free port; where there is none the test is skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.local import ports
from tests.support.eventually import eventually
from tests.support.process import beside
from tests.support.prometheus import excused

USER = "postgres"  # it refuses to run as root


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Its URL for SQLAlchemy, while it runs."""
    initdb, server = shutil.which("initdb"), shutil.which("postgres")
    if initdb is None or server is None:
        excused("no PostgreSQL here", os.environ)
    [port], data = ports.free(1), folder / "postgres"
    data.mkdir(parents=True)
    before: tuple[str, ...] = ()
    if os.geteuid() == 0:
        before = ("runuser", "-u", USER, "--")
        shutil.chown(data, USER)
        for each in (folder, *folder.parents):
            each.chmod(each.stat().st_mode | 0o011)  # to be passed through
    done = subprocess.run(
        [*before, initdb, "-D", str(data), "-U", USER, "-A", "trust", "--no-sync"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    command = [
        *before, server, "-D", str(data), "-p", str(port), "-h", ports.HOST, "-k", "",
        "-c", "fsync=off",
    ]  # fmt: skip
    with beside(command, folder / "postgres.log", os.environ) as process:

        def listens() -> bool:
            assert process.ended() is None, process.tail()
            return "ready to accept connections" in process.tail()

        eventually(listens, within_s=30, every_s=0.2)
        yield f"postgresql+pg8000://{USER}@{ports.HOST}:{port}/postgres"
