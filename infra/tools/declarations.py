"""The topics as declared: topics/**/*.yaml read, and every key, unit, name and owner checked.

All mistakes of one file are found at once. Nothing here writes a file or knows a broker.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import yaml

from driftloop.kit.topic import PARTITIONS_OF_PIPELINE, UNLIMITED, Declaration

Scope = Literal["control", "pipeline", "generation"]
Document = Mapping[str, object]

SERVICES = ("ingestion", "features", "serving", "monitor", "training", "evaluation", "registry")
OWNERS = (*SERVICES, "driftloop")  # driftloop: every process, by the glue in driftloop/service.py
SCOPES: tuple[Scope, ...] = ("control", "pipeline", "generation")
REQUIRED = (
    "description",
    "owner",
    "partitions",
    "value",
    "retention",
    "cleanup",
    "producers",
    "consumers",
)
OPTIONAL = ("key", "rows_by", "columns", "message_max", "format", "log_of_record", "reason")
ARROW_TYPES = ("string", "bool", "int16", "int32", "int64", "uint8", "uint64", "float32", "float64")
MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
BYTES = {"kB": 1 << 10, "MB": 1 << 20}
MESSAGE_MAX = "1MB"  # Kafka's own default, within a few bytes


class WrongTopic(Exception):
    """A declaration that can't be honoured: one line a mistake, each naming the file."""


@dataclass(frozen=True, slots=True)
class TopicFile:
    """One declaration with all that the documents and the checks need of it."""

    scope: Scope
    suffix: str
    description: str
    key: str  # a field of the message, or words; empty: no message key
    rows_by: str  # the column that partitions the rows of an envelope; empty: none
    value: str  # full name of the message, "raw" or "none"
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    log_of_record: bool
    declaration: Declaration

    @property
    def constant(self) -> str:
        """The name in `driftloop.contracts.topics`."""
        return re.sub(r"\W", "_", self.suffix).upper()

    @property
    def whole_name(self) -> str:
        """The name as people write it."""
        prefix = {"control": "driftloop", "pipeline": "<p>", "generation": "<p>.<g>"}[self.scope]
        return f"{prefix}.{self.suffix}"


def load(folder: Path) -> list[TopicFile]:
    """All declarations of `folder`, in the order of SCOPES and names; raises WrongTopic with every
    mistake.
    """
    topics: list[TopicFile] = []
    mistakes: list[str] = []
    for scope in SCOPES:
        for path in sorted((folder / scope).glob("*.yaml")):
            try:
                topics.append(parse(yaml.safe_load(path.read_text("utf-8")), scope, path.stem))
            except yaml.YAMLError as error:
                mistakes.append(
                    f"topics/{scope}/{path.name}: not YAML: {' '.join(str(error).split())}"
                )
            except WrongTopic as error:
                mistakes.append(str(error))
    mistakes += between(topics)
    if mistakes:
        raise WrongTopic("\n".join(mistakes))
    return topics


def parse(document: object, scope: Scope, suffix: str) -> TopicFile:
    """One declaration. `suffix` is the file's name without .yaml."""
    if not isinstance(document, Mapping):
        raise WrongTopic(
            f"topics/{scope}/{suffix}.yaml: found no keys, wanted {', '.join(REQUIRED)}"
        )
    mistakes = list(_mistakes(document, scope, suffix))
    if mistakes:
        raise WrongTopic(
            "\n".join(f"topics/{scope}/{suffix}.yaml: {mistake}" for mistake in mistakes)
        )
    return _topic(document, scope, suffix)


def duration_ms(text: object) -> int | None:
    """'30d' in milliseconds, 'unlimited' as UNLIMITED; None where that is not what it says."""
    return UNLIMITED if text == "unlimited" else _quantity(text, MS)


def size_bytes(text: object) -> int | None:
    """'1MB' in bytes (1 kB = 1,024); None where the unit is missing."""
    return _quantity(text, BYTES)


def _quantity(text: object, units: Mapping[str, int]) -> int | None:
    found = re.fullmatch(rf"([1-9]\d*)({'|'.join(units)})", text if isinstance(text, str) else "")
    return int(found[1]) * units[found[2]] if found else None


def _mistakes(document: Document, scope: Scope, suffix: str) -> Iterator[str]:
    """Every mistake of one file, in the order of its keys."""
    for key in document:
        if key not in REQUIRED + OPTIONAL:
            yield f"{key}: unknown key, wanted one of {', '.join(REQUIRED + OPTIONAL)}"
    for key in REQUIRED:
        if key not in document:
            yield f"{key}: missing"
    if not re.fullmatch(r"[a-z]+(\.[a-z]+)*", suffix):
        yield f"name: found {suffix!r}, wanted lower-case words with dots between"
    yield from _wrong_people(document)
    yield from _wrong_quantities(document, scope)
    yield from _wrong_shape(document)


def _wrong_people(document: Document) -> Iterator[str]:
    if document.get("owner") not in OWNERS:
        yield f"owner: found {document.get('owner')!r}, wanted one of {', '.join(OWNERS)}"
    for key in ("producers", "consumers"):
        names = document.get(key)
        if not isinstance(names, list):
            yield f"{key}: found {names!r}, wanted a list of services"
            continue
        for name in names:
            if name not in SERVICES:
                yield f"{key}: found {name!r}, wanted some of {', '.join(SERVICES)}"
        if len(set(map(str, names))) != len(names):
            yield f"{key}: a service is named twice"


def _wrong_quantities(document: Document, scope: Scope) -> Iterator[str]:
    partitions = document.get("partitions")
    per_pipeline = partitions == "N" and scope != "control"
    counted = isinstance(partitions, int) and not isinstance(partitions, bool) and partitions >= 1
    if not (per_pipeline or counted):
        yield f"partitions: found {partitions!r}, wanted a number from 1, or N outside control/"
    if duration_ms(document.get("retention")) is None:
        yield (
            f"retention: found {document.get('retention')!r}, wanted a number with s, m, h or d or "
            "unlimited"
        )
    if size_bytes(document.get("message_max", MESSAGE_MAX)) is None:
        yield f"message_max: found {document.get('message_max')!r}, wanted a number with kB or MB"
    yield from _wrong_retention(document)


def _wrong_retention(document: Document) -> Iterator[str]:
    cleanup = document.get("cleanup")
    if cleanup not in ("delete", "compact"):
        yield f"cleanup: found {cleanup!r}, wanted delete or compact"
    if cleanup == "compact" and not document.get("key"):
        yield "key: missing, wanted with cleanup: compact (the key whose newest value is the state)"
    if document.get("log_of_record", False) not in (True, False):
        yield f"log_of_record: found {document.get('log_of_record')!r}, wanted true or false"
    recorded = document.get("log_of_record") is True and bool(document.get("reason"))
    if document.get("retention") == "unlimited" and cleanup != "compact" and not recorded:
        yield "retention: unlimited is for cleanup: compact, or log_of_record: true with a reason"


def _wrong_shape(document: Document) -> Iterator[str]:
    value, form = document.get("value"), document.get("format", "proto")
    if not re.fullmatch(r"driftloop\.v1\.[A-Z]\w*|raw|none", str(value)):
        yield f"value: found {value!r}, wanted driftloop.v1.<Message>, raw or none"
    if form not in ("proto", "json"):
        yield f"format: found {form!r}, wanted proto or json (raw comes of value: raw)"
    for key in ("description", "key", "rows_by", "reason"):
        if key in document and not (isinstance(document[key], str) and document[key]):
            yield f"{key}: found {document[key]!r}, wanted words"
    columns = document.get("columns", {})
    if not isinstance(columns, Mapping):
        yield f"columns: found {columns!r}, wanted name: type"
        return
    for name, kind in columns.items():
        if kind not in ARROW_TYPES:
            yield f"columns.{name}: found {kind!r}, wanted one of {', '.join(ARROW_TYPES)}"
    if "rows_by" in document and document["rows_by"] not in columns:
        yield f"rows_by: found {document['rows_by']!r}, wanted one of the columns"
    if "rows_by" in document and "key" in document:
        yield "key: envelopes carry no message key, wanted either key or rows_by"


def _topic(document: Document, scope: Scope, suffix: str) -> TopicFile:
    """A document without mistakes as values."""
    partitions, value = document["partitions"], str(document["value"])
    form = "raw" if value in ("raw", "none") else document.get("format", "proto")
    retention, size = (
        duration_ms(document["retention"]),
        size_bytes(document.get("message_max", MESSAGE_MAX)),
    )
    assert retention is not None and size is not None, document
    declaration = Declaration(
        partitions=PARTITIONS_OF_PIPELINE if partitions == "N" else cast(int, partitions),
        retention_ms=retention,
        cleanup=cast(Literal["delete", "compact"], document["cleanup"]),
        message_bytes_max=size,
        format=cast(Literal["proto", "json", "raw"], form),
        owner=str(document["owner"]),
        columns=dict(cast(Mapping[str, str], document.get("columns", {}))),
    )
    return TopicFile(
        scope=scope,
        suffix=suffix,
        description=str(document["description"]),
        value=value,
        key=str(document.get("key", "")),
        rows_by=str(document.get("rows_by", "")),
        producers=tuple(cast(list[str], document["producers"])),
        consumers=tuple(cast(list[str], document["consumers"])),
        log_of_record=bool(document.get("log_of_record", False)),
        declaration=declaration,
    )


def between(topics: Sequence[TopicFile]) -> list[str]:
    """What only several declarations together can get wrong."""
    constants = [topic.constant for topic in topics]
    twice = sorted({name for name in constants if constants.count(name) > 1})
    mistakes = [f"topics/: {name}: two declarations are called so in the code" for name in twice]
    ingested = [t for t in topics if t.declaration.owner == "ingestion" and t.suffix != "dead"]
    longest_ms = max((t.declaration.retention_ms for t in ingested), default=0)
    for topic in topics:
        if topic.suffix == "dead" and topic.declaration.retention_ms <= longest_ms:
            mistakes += ["topics/pipeline/dead.yaml: retention: wanted longer than what feeds it"]
    return mistakes
