"""The derived texts for people: topics/README.md, the blocks of the services' READMEs that topics
and settings fill, and the table of the metrics.

A block stands between `<!-- name -->` and `<!-- /name -->`; all else in a README is its writer's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from driftloop.kit.config import Row
from driftloop.kit.metrics.cells import Figure
from driftloop.kit.topic import PARTITIONS_OF_PIPELINE, UNLIMITED, Declaration
from infra.tools.declarations import BYTES, MS, SCOPES, SERVICES, Scope, TopicFile

TITLES: dict[Scope, str] = {
    "control": "Control: one for all pipelines",
    "pipeline": "Pipeline: outlive generations",
    "generation": "Generation: belong to one generation",
}
HEAD = """# Topics

Derived from the YAML files of this folder by `make generate`; not to be edited. `<p>` is a
pipeline's name, `<g>` its generation (`g1`), `N` its number of partitions. The registry makes all
of them from these declarations and alters none silently. An example of each stands in `examples/`:
`NAME.txtpb` is the message, `NAME.rows.json` beside it an envelope's rows, `NAME.raw` raw bytes.
"""
SETTINGS_HEAD = """# Settings that all services share

Derived from `Common` in driftloop/kit/config.py by `make generate`; not to be edited. All are read
from the environment, once. Any other `KAFKA_…` is librdkafka's property: `KAFKA_SECURITY_PROTOCOL`
is `security.protocol`. A service's own settings stand in its README.

A place for models or archived windows that is a URL (`s3://bucket/folder`, `gs://…`, `az://…`) is
asked with the store's usual settings: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`;
for MinIO and its like `AWS_ENDPOINT_URL` (plain `http://…` also wants `AWS_ALLOW_HTTP=true`).
The bucket must be there. Without a key, the role of the machine is asked for one.
"""


class NoBlock(Exception):
    """A README without the block that is derived into it."""


def topics_readme(topics: Sequence[TopicFile]) -> str:
    """The table and the picture."""
    parts = [HEAD, picture(topics)]
    for scope in SCOPES:
        parts += [
            f"## {TITLES[scope]}\n",
            _table([topic for topic in topics if topic.scope == scope]),
        ]
    return "\n".join(parts)


def picture(topics: Sequence[TopicFile]) -> str:
    """Who writes what for whom, as mermaid: services are boxes, topics rounded; the pulse, which
    all write, left out.
    """
    lines = ["```mermaid", "flowchart LR"]
    lines += [f"    {service}[{service}]" for service in SERVICES]
    for topic in topics:
        if len(topic.producers) == len(SERVICES):
            continue
        node = f"t_{topic.constant.lower()}"
        lines.append(f'    {node}(["{_escaped(topic.whole_name)}"])')
        lines += [f"    {service} --> {node}" for service in topic.producers]
        lines += [f"    {node} --> {service}" for service in topic.consumers]
    return "\n".join([*lines, "```", ""])


def speaks(service: str, topics: Sequence[TopicFile]) -> str:
    """What one service reads and writes: the body of its README's block."""
    lines = ["| | topic | holds |", "|---|---|---|"]
    spoken = [("reads", topic) for topic in topics if service in topic.consumers]
    spoken += [("writes", topic) for topic in topics if service in topic.producers]
    lines += [f"| {verb} | `{topic.whole_name}` | {topic.description} |" for verb, topic in spoken]
    return "\n".join(lines)


def own_settings(rows: Sequence[Row]) -> str:
    """The body of a service's settings block."""
    shared = "Those that all services share: [SETTINGS.md](../SETTINGS.md)."
    return f"{_settings(rows)}\n\n{shared}" if rows else shared


def _settings(rows: Sequence[Row]) -> str:
    head = ["| setting | default | limits | why |", "|---|---|---|---|"]
    cells = [
        f"| `{row.name}` | {f'`{row.default}`' if row.default else 'none'} | {row.limits} | "
        f"{row.why} |"
        for row in rows
    ]
    return "\n".join([*head, *cells])


def shared_settings(rows: Sequence[Row]) -> str:
    """services/SETTINGS.md."""
    return f"{SETTINGS_HEAD}\n{_settings(rows)}\n"


def metrics(figures: Sequence[Figure]) -> str:
    """The body of the block in infra/prometheus/README.md."""
    head = ["| name | type | labels | unit | told by | means |", "|---|---|---|---|---|---|"]
    cells = [
        f"| `driftloop_{each.name}` | {each.kind} | {_labels(each)} | {each.unit} | "
        f"{'all' if len(each.owners) == len(SERVICES) else ', '.join(each.owners)} | {each.text} |"
        for each in figures
    ]
    bounds: dict[str, dict[str, None]] = {}
    for label in (label for each in figures for label in each.labels):
        bounds.setdefault(label.name, {})[label.bound] = None
    lines = [f"| `{name}` | {'; '.join(each)} |" for name, each in bounds.items()]
    return "\n".join([*head, *cells, "", "| label | values |", "|---|---|", *lines])


def _labels(figure: Figure) -> str:
    return ", ".join(f"`{label.name}`" for label in figure.labels) or "–"


def filled(text: str, block: str, body: str) -> str:
    """`text` with the block's body replaced."""
    pattern = re.compile(rf"(<!-- {block} -->\n).*?(<!-- /{block} -->)", re.DOTALL)
    if not pattern.search(text):
        raise NoBlock(f"no block <!-- {block} --> … <!-- /{block} -->")
    return pattern.sub(lambda found: f"{found[1]}{body}\n{found[2]}", text, count=1)


def _table(topics: Sequence[TopicFile]) -> str:
    head = [
        "| topic | value | key | partitions | kept | written by | read by | holds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(f"| {' | '.join(_cells(topic))} |" for topic in topics), ""])


def _cells(topic: TopicFile) -> Iterator[str]:
    declaration = topic.declaration
    yield f"`{topic.whole_name}`"
    yield (
        f"{topic.value.removeprefix('driftloop.v1.')} ({declaration.format})"
        if topic.value != "none"
        else "empty"
    )
    yield f"rows by {topic.rows_by}" if topic.rows_by else topic.key or "–"
    yield "N" if declaration.partitions == PARTITIONS_OF_PIPELINE else str(declaration.partitions)
    yield _kept(declaration)
    yield "all" if len(topic.producers) == len(SERVICES) else ", ".join(topic.producers) or "–"
    yield ", ".join(topic.consumers) or "people"
    yield topic.description


def _kept(declaration: Declaration) -> str:
    kept = (
        "for ever"
        if declaration.retention_ms == UNLIMITED
        else _shortest(declaration.retention_ms, MS)
    )
    newest = "newest of each key, " if declaration.cleanup == "compact" else ""
    return f"{newest}{kept}, ≤ {_shortest(declaration.message_bytes_max, BYTES)} a message"


def _shortest(amount: int, units: dict[str, int]) -> str:
    unit = next(name for name in reversed(units) if amount % units[name] == 0)
    return f"{amount // units[unit]} {unit}"


def _escaped(name: str) -> str:
    return name.replace("<", "&lt;").replace(">", "&gt;")
