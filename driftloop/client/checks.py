"""The doctor's checks of the broker and its topics: small functions over gathered facts, in a
table. Each says what is, and the exact command or setting that mends it. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from driftloop.client.checks_running import RUNNING
from driftloop.client.ground import Finding, Ground, Severity
from driftloop.kit.admin import TopicState
from driftloop.kit.broker import TopicSpec

SESSION_MS = 6_000  # of our consumers, see kit.kafka
TRANSACTION_MS = 5_000  # of our producers
RECOMMIT_MINUTES = 60  # how often offsets of attached topics are renewed
MESSAGE_BYTES_MIN = 1_048_576  # Kafka's default, less a little; envelopes are at most 1 MB
SOURCE_RETENTION_MS_MIN = 6 * 3_600_000  # a night's outage of ours must lose no row
HOUR_MS = 3_600_000
RIGHTS = ("DESCRIBE", "DESCRIBE_CONFIGS", "READ")  # what this client needs of a topic


@dataclass(frozen=True, slots=True)
class Limit:
    """A setting of the broker and what it may be; outside, rows would be lost or nothing runs
    (fail), or it would be slow or surprising (warn)."""

    name: str
    severity: Severity
    good: Callable[[int], bool]
    want: str
    why: str


LIMITS: Sequence[Limit] = (
    Limit(
        "transaction.max.timeout.ms",
        "fail",
        lambda ms: ms >= TRANSACTION_MS,
        f"{TRANSACTION_MS} or more",
        "no transaction of ours is accepted otherwise",
    ),
    Limit(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        "warn",
        lambda ms: ms <= 2_000,
        "1000",
        "an open transaction of a killed process holds all readers up for so long",
    ),
    Limit(
        "offsets.retention.minutes",
        "fail",
        lambda minutes: minutes >= 2 * RECOMMIT_MINUTES,
        "10080",
        "a group that rests longer forgets where it stood and loses or repeats rows",
    ),
    Limit(
        "group.min.session.timeout.ms",
        "fail",
        lambda ms: ms <= SESSION_MS,
        str(SESSION_MS),
        "our consumers can't join a group otherwise",
    ),
    Limit(
        "group.max.session.timeout.ms",
        "fail",
        lambda ms: ms >= SESSION_MS,
        "1800000",
        "our consumers can't join a group otherwise",
    ),
    Limit(
        "message.max.bytes",
        "warn",
        lambda size: size >= MESSAGE_BYTES_MIN - 1_000,
        "11000000",
        "source records beyond it are refused to their senders",
    ),
)


def examine(ground: Ground) -> list[Finding]:
    """Every finding, the worst first."""
    order = {"fail": 0, "warn": 1, "ok": 2}
    found = [finding for check in (*BROKER, *RUNNING) for finding in check(ground)]
    return sorted(found, key=lambda finding: order[finding.severity])


def _reachable(ground: Ground) -> Iterator[Finding]:
    cluster = ground.cluster
    release = f"Apache Kafka {cluster.release}" if cluster.release else "Kafka"
    count = len(cluster.brokers)
    yield Finding("ok", "broker", f"{release} answers at {ground.bootstrap}, {count} brokers")


def _settings(ground: Ground) -> Iterator[Finding]:
    for broker in ground.cluster.brokers:
        for limit in LIMITS:
            value = broker.config.get(limit.name, "")
            if not value.lstrip("-").isdigit():
                continue  # not told: the denial is a finding of its own
            subject = f"broker {broker.number}"
            if limit.good(int(value)):
                yield Finding("ok", subject, f"{limit.name} is {value}")
                continue
            yield Finding(
                limit.severity,
                subject,
                f"{limit.name} is {value}, wanted {limit.want}: {limit.why}",
                _broker_mend(limit.name, limit.want.split()[0]),
            )


def _auto_create(ground: Ground) -> Iterator[Finding]:
    for broker in ground.cluster.brokers:
        if broker.config.get("auto.create.topics.enable", "").lower() == "true":
            yield Finding(
                "warn",
                f"broker {broker.number}",
                "auto.create.topics.enable is true: a misspelt topic is made silently, with the "
                "wrong number of partitions",
                _broker_mend("auto.create.topics.enable", "false"),
            )


def _copies(ground: Ground) -> Iterator[Finding]:
    """Internal topics can be made, and take transactions, with the brokers that there are."""
    count = len(ground.cluster.brokers)
    for broker in ground.cluster.brokers:
        for name in (
            "offsets.topic.replication.factor",
            "transaction.state.log.replication.factor",
            "transaction.state.log.min.isr",
        ):
            value = broker.config.get(name, "")
            if value.isdigit() and int(value) > count:
                yield Finding(
                    "fail",
                    f"broker {broker.number}",
                    f"{name} is {value} with {count} brokers: groups and transactions can't work",
                    _broker_mend(name, str(count)),
                )


def _replicas(ground: Ground) -> Iterator[Finding]:
    count, thin = len(ground.cluster.brokers), []
    for topic in ground.topics.values():
        yield from _in_sync(topic, ground)
        if count >= 3 and topic.replicas < 2:
            thin.append(topic.name)
    if thin:
        yield Finding(
            "warn",
            "topics",
            f"{len(thin)} topics have one copy on {count} brokers, as {thin[0]}: a broker that "
            "goes takes them with it",
            "kafka-reassign-partitions.sh gives them more; default.replication.factor=3 for new "
            "ones",
        )


def _in_sync(topic: TopicState, ground: Ground) -> Iterator[Finding]:
    if topic.leaderless:
        yield Finding(
            "fail",
            topic.name,
            f"partitions {', '.join(map(str, topic.leaderless))} have no leader",
            "start the broker that holds them: `kafka-topics.sh --bootstrap-server "
            f"{ground.bootstrap} --describe --topic {topic.name}` names it",
        )
        return
    least = int(topic.config.get("min.insync.replicas", "1"))
    if topic.in_sync < least:
        yield Finding(
            "fail",
            topic.name,
            f"{topic.in_sync} copies are in sync, min.insync.replicas is {least}: "
            "it takes no writes",
            f"start the missing broker, or {_topic_mend(ground, topic.name)} "
            f"min.insync.replicas={max(1, topic.in_sync)}",
        )
    elif topic.in_sync < topic.replicas:
        yield Finding(
            "warn",
            topic.name,
            f"{topic.in_sync} of {topic.replicas} copies are in sync",
            "start the missing broker, or wait until it has caught up",
        )


def _declared(ground: Ground) -> Iterator[Finding]:
    """Each topic of ours exists and is as it was declared."""
    good = 0
    missing: dict[str, list[str]] = {}  # by what makes them again
    for wanted in ground.wanted:
        topic = ground.topics.get(wanted.name)
        if wanted.name in ground.hidden:
            continue
        if topic is None:
            missing.setdefault(_make_mend(wanted.name), []).append(wanted.name)
            continue
        found = [*_partitions(wanted, topic, ground), *_properties(wanted, topic, ground)]
        yield from found
        good += not found
    for mend, names in missing.items():
        yield Finding("fail", "topics", f"missing: {', '.join(names)}", mend)
    if good:
        yield Finding("ok", "topics", f"{good} are as declared")


def _partitions(wanted: TopicSpec, topic: TopicState, ground: Ground) -> Iterator[Finding]:
    if topic.partitions == wanted.partitions:
        return
    more = (
        f"kafka-topics.sh --bootstrap-server {ground.bootstrap} --alter --topic {topic.name} "
        f"--partitions {wanted.partitions}"
    )
    fewer = (
        "partitions can't be taken away: delete the topic while its pipeline rests, then "
        + _make_mend(topic.name)
    )
    yield Finding(
        "fail",
        topic.name,
        f"{topic.partitions} partitions, declared {wanted.partitions}: rows of an event would not "
        "meet",
        more if topic.partitions < wanted.partitions else fewer,
    )


def _properties(wanted: TopicSpec, topic: TopicState, ground: Ground) -> Iterator[Finding]:
    for name, value in wanted.config.items():
        found = topic.config.get(name)
        if found is None or found == value:
            continue  # none: we may not see it, which is a finding of its own
        yield Finding(
            "warn" if _harmless(name, found, value) else "fail",
            topic.name,
            f"{name} is {found}, declared {value}",
            f"{_topic_mend(ground, topic.name)} {name}={value}",
        )


def _harmless(name: str, found: str, wanted: str) -> bool:
    """More kept, or larger messages taken, than was declared costs disk alone."""
    if name not in ("retention.ms", "max.message.bytes"):
        return False
    return int(found) == -1 or (int(wanted) != -1 and int(found) > int(wanted))


def _reach(ground: Ground) -> Iterator[Finding]:
    """Topics reach as far back as windows, horizon and learners look."""
    for one in ground.pipelines:
        for suffix, held_ms in one.held_ms.items():
            topic = ground.topics.get(f"{one.name}.g{one.generation}.{suffix}")
            kept = int(topic.config.get("retention.ms", "-1")) if topic else -1
            if topic is None or kept == -1 or kept >= held_ms:
                continue
            yield Finding(
                "fail",
                topic.name,
                f"it keeps {hours(kept)}, but {one.name} looks {hours(held_ms)} back in it",
                f"{_topic_mend(ground, topic.name)} retention.ms={held_ms}",
            )


def _sources(ground: Ground) -> Iterator[Finding]:
    for one in ground.pipelines:
        for name in one.sources:
            topic = ground.topics.get(name)
            if name in ground.hidden:
                continue
            if topic is None:
                yield Finding(
                    "fail",
                    name,
                    f"this source topic of {one.name} is missing",
                    f"kafka-topics.sh --bootstrap-server {ground.bootstrap} --create "
                    f"--topic {name}",
                )
                continue
            kept = int(topic.config.get("retention.ms", "-1"))
            if 0 <= kept < SOURCE_RETENTION_MS_MIN:
                yield Finding(
                    "warn",
                    name,
                    f"it keeps {hours(kept)}: rows are lost if ingestion rests for longer",
                    f"{_topic_mend(ground, name)} retention.ms={24 * HOUR_MS}",
                )


def _permissions(ground: Ground) -> Iterator[Finding]:
    for sentence in (*ground.cluster.denied, *ground.denied):
        what, _, mend = sentence.partition(": ")
        yield Finding("fail", "permissions", what, mend)
    if ground.hidden:
        rights = " ".join(f"--operation {right}" for right in RIGHTS)
        named = " ".join(f"--topic {name}" for name in ground.hidden)
        yield Finding(
            "fail",
            "permissions",
            f"not allowed to see {', '.join(ground.hidden)}: whether they are there can't be told",
            f"kafka-acls.sh --bootstrap-server {ground.bootstrap} --add "
            f"--allow-principal User:NAME {rights} {named}",
        )
    for topic in ground.topics.values():
        missing = set(RIGHTS) - (topic.allowed or frozenset())
        if topic.allowed is not None and missing:
            rights = " ".join(f"--operation {right}" for right in sorted(missing))
            yield Finding(
                "fail",
                topic.name,
                f"this user may not {', '.join(sorted(missing))} it",
                f"kafka-acls.sh --bootstrap-server {ground.bootstrap} --add "
                f"--allow-principal User:NAME {rights} --topic {topic.name}",
            )


def hours(ms: int) -> str:
    """`36 h`, `5 d`."""
    if ms >= 48 * HOUR_MS:
        return f"{ms / (24 * HOUR_MS):.3g} d"
    return f"{ms / HOUR_MS:.3g} h"


def _broker_mend(name: str, value: str) -> str:
    return f"{name}={value} in the broker's server.properties, then restart it"


def _topic_mend(ground: Ground, topic: str) -> str:
    return (
        f"kafka-configs.sh --bootstrap-server {ground.bootstrap} --alter --entity-type topics "
        f"--entity-name {topic} --add-config"
    )


def _make_mend(name: str) -> str:
    """Whoever makes it makes it again."""
    if name.startswith("driftloop."):
        return "restart the registry: it makes the control topics when it starts"
    pipeline = name.split(".")[0]
    return (
        f"declare the pipeline again, it makes what is missing: `driftloop apply {pipeline}.yaml`"
    )


BROKER: Sequence[Callable[[Ground], Iterator[Finding]]] = (
    _reachable, _settings, _auto_create, _copies, _replicas, _declared, _reach, _sources,
    _permissions,
)  # fmt: skip
