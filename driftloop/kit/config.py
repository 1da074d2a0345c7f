"""Settings: the environment read once into one frozen value, all mistakes named at once.

A service declares a frozen dataclass whose fields are `setting(…)`; nothing else in the house reads
the environment.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from driftloop.kit.errors import Refused
from driftloop.kit.secret import Properties, shown

C = TypeVar("C")
T = TypeVar("T")
LOG_LEVELS = ("debug", "info", "warning", "error")
_LIMITS = "driftloop.limits"
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a setting may be, and what it is for."""

    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One setting as its README shows it."""

    name: str
    default: str
    limits: str
    why: str


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM. `authority` asks the other side for a certificate that it has signed."""

    certificate: Path
    key: Path
    authority: Path | None = None


def setting(
    default: T,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    why: str = "",
) -> T:
    """A field of a settings dataclass: its default, its limits (inclusive, exclusive) and its
    reason."""
    limits = Limits(at_least, at_most, above, below, why)
    return dataclasses.field(default=default, metadata={_LIMITS: limits})


@dataclass(frozen=True, slots=True)
class Common:
    """Settings that every process shares; they carry no service's prefix."""

    kafka_bootstrap: str = setting(
        "127.0.0.1:19092", why="the broker; any other KAFKA_… is librdkafka's property"
    )
    driftloop_namespace: str = setting(
        "", why="prefix of topics, groups and transactional ids on a shared cluster"
    )
    driftloop_host: str = setting(
        "127.0.0.1", why="the address to listen on; 0.0.0.0 in containers"
    )
    driftloop_advertise: str = setting(
        "", why="host by which other replicas reach this one; none: where it listens, else its name"
    )
    driftloop_data: Path = setting(  # noqa: RUF009  # a Path is immutable
        Path("var/data"), why="folder of caches; may be lost, is then filled again"
    )
    driftloop_slot: str = setting(
        "", why="this worker's name among the replicas, stable over restarts; none: random"
    )
    driftloop_log: str = setting("", why="json or text; none: text on a terminal, else json")
    driftloop_log_level: str = setting(
        "info", why="debug, info, warning or error: from where on our lines are written"
    )
    driftloop_trace_sample: float = setting(
        0.01,
        at_least=0.0,
        at_most=1.0,
        why="share of events that are traced, where OTEL_EXPORTER_OTLP_ENDPOINT is set",
    )
    driftloop_parent: int = setting(0, at_least=0, why="id of the process to end with; 0: none")
    driftloop_registry: str = setting("127.0.0.1:17101", why="address of the registry")
    driftloop_features: str = setting("127.0.0.1:17102", why="address of features")
    driftloop_serving: str = setting("127.0.0.1:17103", why="address of serving")
    driftloop_training: str = setting("127.0.0.1:17104", why="address of training")
    driftloop_evaluation: str = setting("127.0.0.1:17105", why="address of evaluation")
    driftloop_tls_certificate: str = setting("", why="gRPC by TLS: this side's certificate, PEM")
    driftloop_tls_key: str = setting("", why="gRPC by TLS: its key, PEM")
    driftloop_tls_authority: str = setting(
        "", why="gRPC by TLS: who signs the other side's certificate, PEM"
    )
    grpc_port: int = setting(
        -1, at_least=-1, at_most=65535, why="0: a free one; -1: the service's documented port"
    )
    metrics_port: int = setting(
        -1, at_least=-1, at_most=65535, why="0: a free one; -1: the documented port"
    )
    kafka: Mapping[str, str] = dataclasses.field(
        default_factory=Properties
    )  # librdkafka's properties, bootstrap included; shown without secrets

    @property
    def tls(self) -> Tls | None:
        """None without a certificate: plain text, for loopback."""
        if not self.driftloop_tls_certificate:
            return None
        authority = Path(self.driftloop_tls_authority) if self.driftloop_tls_authority else None
        return Tls(Path(self.driftloop_tls_certificate), Path(self.driftloop_tls_key), authority)


def read(config: type[C], prefix: str, environ: Mapping[str, str]) -> C:
    """`config` filled from `<PREFIX>_<FIELD>` of `environ`; an empty value means the default.
    Refused names all mistakes."""
    mistakes: list[str] = []
    values = _values(config, prefix, environ, mistakes)
    if mistakes:
        raise Refused("\n".join(mistakes))
    return config(**values)


def read_common(environ: Mapping[str, str]) -> Common:
    """The shared settings, and every other KAFKA_… as a librdkafka property
    (KAFKA_SECURITY_PROTOCOL: security.protocol)."""
    mistakes: list[str] = []
    values = _values(Common, "", environ, mistakes)
    if values.get("driftloop_log", "") not in ("", "json", "text"):
        mistakes.append(f"DRIFTLOOP_LOG: found {values['driftloop_log']!r}, wanted json or text")
    level = values.get("driftloop_log_level", "info")
    if level not in LOG_LEVELS:
        mistakes.append(
            f"DRIFTLOOP_LOG_LEVEL: found {level!r}, wanted one of {', '.join(LOG_LEVELS)}"
        )
    if bool(values.get("driftloop_tls_certificate")) != bool(values.get("driftloop_tls_key")):
        mistakes.append(
            "DRIFTLOOP_TLS_CERTIFICATE and DRIFTLOOP_TLS_KEY: found one, wanted both or none"
        )
    if mistakes:
        raise Refused("\n".join(mistakes))
    common = Common(**values)
    return dataclasses.replace(common, kafka=_kafka(common.kafka_bootstrap, environ))


def read_all(config: type[C], prefix: str, environ: Mapping[str, str]) -> tuple[Common, C]:
    """Both, with the mistakes of both in one Refused."""
    mistakes: list[str] = []
    try:
        common = read_common(environ)
    except Refused as error:
        mistakes.append(str(error))
    try:
        own = read(config, prefix, environ)
    except Refused as error:
        mistakes.append(str(error))
    if mistakes:
        raise Refused("\n".join(mistakes))
    return common, own


def unknown(config: type[Any], prefix: str, environ: Mapping[str, str]) -> Sequence[str]:
    """Names that look like settings of `prefix` and are none. Not mistakes: Kubernetes makes some
    of its own."""
    known = {_name(prefix, field.name) for field, _ in _settings(config)}
    return sorted(name for name in environ if name.startswith(f"{prefix}_") and name not in known)


def describe(config: type[Any], prefix: str = "") -> Sequence[Row]:
    """The rows of the README's table, in the order of the fields."""
    return [
        Row(
            _name(prefix, field.name),
            str(field.default),
            _limits(field.metadata[_LIMITS]),
            field.metadata[_LIMITS].why,
        )
        for field, _ in _settings(config)
    ]


def _values(
    config: type[Any], prefix: str, environ: Mapping[str, str], mistakes: list[str]
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field, kind in _settings(config):
        name = _name(prefix, field.name)
        text = environ.get(name, "").strip()
        if not text:
            continue
        try:
            values[field.name] = _checked(_parsed(text, kind), field.metadata[_LIMITS])
        except ValueError as error:
            mistakes.append(f"{name}: found {shown(name, text)!r}, wanted {error}")
    return values


def _settings(config: type[Any]) -> Iterator[tuple[dataclasses.Field[Any], Any]]:
    hints = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        if _LIMITS in field.metadata:
            yield field, hints[field.name]


def _parsed(text: str, kind: Any) -> Any:
    if isinstance(kind, types.UnionType):  # `int | None`: None is the default, never written
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    if typing.get_origin(kind) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind is bool:
        return _boolean(text)
    try:
        return kind(text)
    except ValueError:
        raise ValueError(
            {int: "a whole number", float: "a number"}.get(kind, kind.__name__)
        ) from None


def _boolean(text: str) -> bool:
    if text.lower() not in _TRUE + _FALSE:
        raise ValueError("true or false")
    return text.lower() in _TRUE


def _checked(value: Any, limits: Limits) -> Any:
    broken = (
        (limits.at_least is not None and value < limits.at_least)
        or (limits.at_most is not None and value > limits.at_most)
        or (limits.above is not None and value <= limits.above)
        or (limits.below is not None and value >= limits.below)
        or (isinstance(value, float) and value != value)
    )
    if broken:
        raise ValueError(_limits(limits) or "a number")
    return value


def _limits(limits: Limits) -> str:
    parts = (
        ("at least", limits.at_least),
        ("at most", limits.at_most),
        ("above", limits.above),
        ("below", limits.below),
    )
    return ", ".join(f"{word} {bound:g}" for word, bound in parts if bound is not None)


def _name(prefix: str, field: str) -> str:
    return f"{prefix}_{field}".upper() if prefix else field.upper()


def _kafka(bootstrap: str, environ: Mapping[str, str]) -> dict[str, str]:
    properties = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in environ.items()
        if name.startswith("KAFKA_") and name != "KAFKA_BOOTSTRAP" and value
    }
    return Properties({**properties, "bootstrap.servers": bootstrap})
