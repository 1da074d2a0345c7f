"""Prometheus is found in PATH, or brought from Debian without being installed, or asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from driftloop.kit.errors import Refused, Unavailable
from infra.tools import prometheus
from tests.support.prometheus import excused


def test_both_binaries_are_taken_from_path(tmp_path: Path) -> None:
    path = programs(tmp_path / "bin", "prometheus", "promtool")

    found = prometheus.found(tmp_path / "cache", str(path))

    assert found == prometheus.Tools(path / "prometheus", path / "promtool")


def test_one_without_the_other_is_not_taken(tmp_path: Path) -> None:
    path = programs(tmp_path / "bin", "prometheus")

    assert prometheus.found(tmp_path / "cache", str(path)) is None


def test_what_was_unpacked_before_is_taken(tmp_path: Path) -> None:
    unpacked = programs(tmp_path / "usr" / "bin", "prometheus", "promtool")
    empty = programs(tmp_path / "empty")

    found = prometheus.found(tmp_path, str(empty))

    assert found == prometheus.Tools(unpacked / "prometheus", unpacked / "promtool")


def test_a_machine_without_apt_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(programs(tmp_path / "bin")))

    with pytest.raises(Refused, match="no apt-get: install Prometheus"):
        prometheus.tools(tmp_path)


def test_a_package_that_is_not_to_be_had_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = programs(tmp_path / "bin", "dpkg-deb")
    script(path / "apt-get", "echo E: no such package >&2; exit 100")
    monkeypatch.setenv("PATH", str(path))

    with pytest.raises(Unavailable, match=r"no such package.*install Prometheus"):
        prometheus.tools(tmp_path / "cache")

    assert list((tmp_path / "cache").iterdir()) == []


def test_empty_package_lists_are_fetched_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = programs(tmp_path / "bin")
    lists = tmp_path / "lists"
    script(path / "apt-get", f"if [ $1 = update ]; then : > {lists}; exit 0; fi; "
           f"[ -e {lists} ] && : > prometheus.deb")  # fmt: skip
    script(path / "dpkg-deb", "/bin/mkdir -p $3/usr/bin; cd $3/usr/bin; : > prometheus; "
           ": > promtool; /bin/chmod +x *")  # fmt: skip
    monkeypatch.setenv("PATH", str(path))

    found = prometheus.tools(tmp_path / "cache")

    assert found.promtool == tmp_path / "cache" / "prometheus" / "usr" / "bin" / "promtool"
    assert [each.name for each in (tmp_path / "cache").iterdir()] == ["prometheus"]


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="no Debian: nothing to bring it with")
@pytest.mark.soak
def test_debians_package_is_brought_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path(str(shutil.which("apt-get"))).parent
    path = programs(tmp_path / "bin")
    for name in ("apt-get", "dpkg-deb", "dpkg", "tar", "rm", "sh"):
        (path / name).symlink_to(real / name)
    monkeypatch.setenv("PATH", str(path))

    found = prometheus.tools(tmp_path / "cache")

    assert found.promtool.is_relative_to(tmp_path)


def test_without_the_binary_a_test_is_skipped_and_fails_in_ci() -> None:
    with pytest.raises(pytest.skip.Exception, match="none here"):
        excused("none here", {})
    with pytest.raises(pytest.fail.Exception, match="none here"):
        excused("none here", {"CI": "true"})


def programs(folder: Path, *names: str) -> Path:
    """A folder of programs that do nothing."""
    folder.mkdir(parents=True)
    for name in names:
        script(folder / name, "exit 0")
    return folder


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
