"""Settings: read once, all mistakes at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from driftloop.kit.config import Common, describe, read, read_all, read_common, setting, unknown
from driftloop.kit.errors import Refused


@dataclass(frozen=True, slots=True)
class Config:
    window_size: int = setting(500, at_least=1, why="rows")
    rise_min: float = setting(0.1, above=0.0, below=1.0, why="a rise that counts")
    strict: bool = setting(False, why="refuse more")
    names: tuple[str, ...] = setting((), why="who")
    limit: int | None = setting(None, why="no limit")


def test_what_is_not_set_has_its_default() -> None:
    assert read(Config, "MONITOR", {"MONITOR_WINDOW_SIZE": " "}) == Config()


def test_each_kind_of_value_is_read_from_its_name() -> None:
    environ = {
        "MONITOR_WINDOW_SIZE": "7",
        "MONITOR_RISE_MIN": "0.5",
        "MONITOR_STRICT": "Yes",
        "MONITOR_NAMES": "a, b",
        "MONITOR_LIMIT": "3",
    }
    assert read(Config, "MONITOR", environ) == Config(7, 0.5, True, ("a", "b"), 3)


def test_all_mistakes_are_named_at_once() -> None:
    environ = {"MONITOR_WINDOW_SIZE": "0", "MONITOR_RISE_MIN": "nan", "MONITOR_STRICT": "maybe"}
    with pytest.raises(Refused) as refused:
        read(Config, "MONITOR", environ)
    assert str(refused.value).splitlines() == [
        "MONITOR_WINDOW_SIZE: found '0', wanted at least 1",
        "MONITOR_RISE_MIN: found 'nan', wanted above 0, below 1",
        "MONITOR_STRICT: found 'maybe', wanted true or false",
    ]


def test_the_mistakes_of_the_shared_settings_come_with_them() -> None:
    environ = {"GRPC_PORT": "70000", "DRIFTLOOP_LOG": "xml", "MONITOR_LIMIT": "x"}
    with pytest.raises(Refused) as refused:
        read_all(Config, "MONITOR", environ)
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == [
        "GRPC_PORT",
        "DRIFTLOOP_LOG",
        "MONITOR_LIMIT",
    ]


def test_other_kafka_names_are_properties_of_librdkafka() -> None:
    environ = {"KAFKA_BOOTSTRAP": "a:1,b:2", "KAFKA_SECURITY_PROTOCOL": "SSL"}
    properties = {"bootstrap.servers": "a:1,b:2", "security.protocol": "SSL"}
    assert read_common(environ).kafka == properties


def test_tls_wants_a_certificate_and_its_key() -> None:
    with pytest.raises(Refused, match="both or none"):
        read_common({"DRIFTLOOP_TLS_CERTIFICATE": "a.pem"})
    assert read_common({}).tls is None


def test_a_misspelt_name_is_found() -> None:
    environ = {"MONITOR_WINDOWSIZE": "1", "MONITOR_LIMIT": "1", "OTHER": "1"}
    assert unknown(Config, "MONITOR", environ) == ["MONITOR_WINDOWSIZE"]


def test_the_readme_has_a_row_for_each_setting() -> None:
    rows = describe(Config, "MONITOR")
    assert rows[1].name == "MONITOR_RISE_MIN"
    assert (rows[1].default, rows[1].limits) == ("0.1", "above 0, below 1")
    assert "DRIFTLOOP_DATA" in [row.name for row in describe(Common)]
    assert read_common({}).driftloop_data == Path("var/data")
