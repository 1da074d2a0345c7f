"""Where jars come from is the machine's affair: mirrors are read from its own configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftloop.kit.errors import Refused
from infra.local import jars

MIRROR = """<settings xmlns="urn:settings"><mirrors><mirror>
<id>near</id><mirrorOf>{of}</mirrorOf><url>http://127.0.0.1:1/repo/</url>
</mirror></mirrors></settings>"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("JGO_CONFIG_FILE", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (tmp_path / ".m2").mkdir()
    return tmp_path


@pytest.mark.parametrize("of", ["*", "central", "other, central", "external:*"])
def test_a_mirror_in_mavens_settings_is_used(home: Path, of: str) -> None:
    (home / ".m2" / "settings.xml").write_text(MIRROR.format(of=of))

    assert jars.repositories(home) == {"central": "http://127.0.0.1:1/repo"}


def test_a_mirror_of_something_else_is_not(home: Path) -> None:
    (home / ".m2" / "settings.xml").write_text(MIRROR.format(of="jcenter"))

    assert jars.repositories(home) == {}


def test_broken_settings_are_refused_by_name(home: Path) -> None:
    (home / ".m2" / "settings.xml").write_text("<settings>")

    with pytest.raises(Refused, match=r"settings\.xml is not XML"):
        jars.repositories(home)


def test_jars_that_are_there_are_not_fetched_again(tmp_path: Path) -> None:
    for jar in jars.locked():
        with (tmp_path / jar.filename).open("wb") as file:
            file.truncate(jar.bytes)

    found = jars.fetch(tmp_path, say=pytest.fail)

    assert len(found.paths) == len(jars.locked())


def test_every_jar_is_locked_by_size_and_digest() -> None:
    locked = jars.locked()

    assert {jar.artifact for jar in locked} >= {"kafka_2.13", "kafka-clients"}
    assert all(jar.bytes > 0 and len(jar.sha256) == 64 for jar in locked)
