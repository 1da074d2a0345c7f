"""The doctor's checks over facts: a sound ground has no finding but good ones, and each fault is
found, with its mend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from driftloop import spec, topology
from driftloop.client.checks import examine
from driftloop.client.examining import groups
from driftloop.client.ground import Beat, Disk, Ground, Standing, needs
from driftloop.kit.admin import BrokerState, ClusterState, Ends, TopicState
from driftloop.kit.broker import TopicSpec
from tests.unit.client.world import SMALL

NOW, HOUR = 1_700_000_000_000, 3_600_000
GOOD = {
    "transaction.max.timeout.ms": "900000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "offsets.retention.minutes": "10080",
    "auto.create.topics.enable": "false",
    "message.max.bytes": "1048588",
    "group.min.session.timeout.ms": "6000",
    "group.max.session.timeout.ms": "1800000",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
}
RECORDS = ("small.g1.records", 0)


def as_declared(wanted: TopicSpec) -> TopicState:
    return TopicState(wanted.name, wanted.partitions, 1, 1, (), dict(wanted.config))


def a_cluster(count: int = 1, **config: str) -> ClusterState:
    settings = {**GOOD, **{name.replace("_", "."): value for name, value in config.items()}}
    nodes = [BrokerState(n, f"127.0.0.1:{n}", settings) for n in range(1, count + 1)]
    return ClusterState("c", "4.1", nodes)


def sound() -> Ground:
    """One broker, `small` declared, its services running."""
    wanted = [*topology.control(), *topology.pipeline("small", 1, 2)]
    state = {one.name: as_declared(one) for one in wanted}
    state["small.rows"] = TopicState("small.rows", 2, 1, 1, (), {"retention.ms": "604800000"})
    return Ground(
        NOW,
        "127.0.0.1:9092",
        "0.1.0",
        a_cluster(),
        wanted,
        state,
        [needs(spec.parse(SMALL, "small"), 1)],
        [Standing("features-windows-small.g1", RECORDS, 40, NOW - 1_000)],
        {RECORDS: Ends(10, 50, 50)},
        beats=[Beat("serving", "serving-0", "0.1.0", NOW - 1_000, NOW - 990)],
        disks=[Disk("/data", "the log", 50_000_000_000, 100_000_000_000)],
        calls={"serving": "", "registry": ""},
    )


def altered(ground: Ground, topic: str, **more: Any) -> Ground:
    """One topic otherwise; `config` is merged."""
    state = ground.topics[topic]
    config = {**state.config, **more.pop("config", {})}
    return replace(ground, topics={**ground.topics, topic: replace(state, config=config, **more)})


def without(ground: Ground, topic: str) -> Ground:
    kept = {name: state for name, state in ground.topics.items() if name != topic}
    return replace(ground, topics=kept)


def test_a_sound_ground_is_in_order_and_says_what_was_looked_at() -> None:
    found = examine(sound())

    assert {finding.severity for finding in found} == {"ok"}
    assert {"broker", "topics", "clocks", "groups", "/data", "serving"} <= {
        finding.subject for finding in found
    }
    assert all(not finding.mend for finding in found)


FAULTS: list[tuple[str, Callable[[Ground], Ground], str, str, str]] = [
    (
        "fail",
        lambda g: replace(g, cluster=a_cluster(transaction_max_timeout_ms="1000")),
        "broker 1",
        "transaction.max.timeout.ms is 1000",
        "transaction.max.timeout.ms=5000 in the broker's server.properties",
    ),
    (
        "warn",
        lambda g: replace(
            g,
            cluster=a_cluster(transaction_abort_timed_out_transaction_cleanup_interval_ms="10000"),
        ),
        "broker 1",
        "cleanup.interval.ms is 10000",
        "cleanup.interval.ms=1000",
    ),
    (
        "fail",
        lambda g: replace(g, cluster=a_cluster(offsets_retention_minutes="5")),
        "broker 1",
        "offsets.retention.minutes is 5",
        "offsets.retention.minutes=10080",
    ),
    (
        "fail",
        lambda g: replace(g, cluster=a_cluster(group_min_session_timeout_ms="10000")),
        "broker 1",
        "group.min.session.timeout.ms is 10000",
        "group.min.session.timeout.ms=6000",
    ),
    (
        "warn",
        lambda g: replace(g, cluster=a_cluster(message_max_bytes="100000")),
        "broker 1",
        "message.max.bytes is 100000",
        "message.max.bytes=11000000",
    ),
    (
        "warn",
        lambda g: replace(g, cluster=a_cluster(auto_create_topics_enable="true")),
        "broker 1",
        "a misspelt topic is made silently",
        "auto.create.topics.enable=false",
    ),
    (
        "fail",
        lambda g: replace(g, cluster=a_cluster(transaction_state_log_min_isr="2")),
        "broker 1",
        "transaction.state.log.min.isr is 2 with 1 brokers",
        "transaction.state.log.min.isr=1",
    ),
    (
        "fail",
        lambda g: altered(g, "small.dead", config={"min.insync.replicas": "2"}),
        "small.dead",
        "it takes no writes",
        "min.insync.replicas=1",
    ),
    (
        "warn",
        lambda g: altered(g, "small.dead", replicas=3, in_sync=2),
        "small.dead",
        "2 of 3 copies are in sync",
        "start the missing broker",
    ),
    (
        "fail",
        lambda g: altered(g, "small.dead", leaderless=[0]),
        "small.dead",
        "partitions 0 have no leader",
        "--describe --topic small.dead",
    ),
    ("fail", lambda g: without(g, "driftloop.pulse"), "topics", "driftloop.pulse", "registry"),
    (
        "fail",
        lambda g: without(g, "small.scores"),
        "topics",
        "small.scores",
        "driftloop apply small.yaml",
    ),
    (
        "fail",
        lambda g: altered(g, "small.scores", partitions=1),
        "small.scores",
        "1 partitions, declared 2",
        "--alter --topic small.scores --partitions 2",
    ),
    (
        "fail",
        lambda g: altered(g, "small.scores", partitions=3),
        "small.scores",
        "3 partitions, declared 2",
        "delete the topic",
    ),
    (
        "fail",
        lambda g: altered(g, "small.scores", config={"retention.ms": str(HOUR)}),
        "small.scores",
        "retention.ms is 3600000",
        "--entity-name small.scores --add-config retention.ms=2592000000",
    ),
    (
        "warn",
        lambda g: altered(g, "small.scores", config={"retention.ms": "-1"}),
        "small.scores",
        "retention.ms is -1",
        "retention.ms=2592000000",
    ),
    (
        "fail",
        lambda g: altered(g, "driftloop.pipelines", config={"cleanup.policy": "delete"}),
        "driftloop.pipelines",
        "cleanup.policy is delete, declared compact",
        "cleanup.policy=compact",
    ),
    (
        "fail",
        lambda g: altered(g, "small.scores", config={"message.timestamp.type": "CreateTime"}),
        "small.scores",
        "message.timestamp.type is CreateTime",
        "message.timestamp.type=LogAppendTime",
    ),
    ("fail", lambda g: without(g, "small.rows"), "small.rows", "is missing", "--create"),
    (
        "warn",
        lambda g: altered(g, "small.rows", config={"retention.ms": "60000"}),
        "small.rows",
        "rows are lost if ingestion rests for longer",
        "retention.ms=86400000",
    ),
    (
        "fail",
        lambda g: replace(g, denied=["the cluster does not let us DESCRIBE groups: kafka-acls x"]),
        "permissions",
        "the cluster does not let us DESCRIBE groups",
        "kafka-acls x",
    ),
    (
        "fail",
        lambda g: altered(g, "small.rows", allowed=frozenset({"DESCRIBE", "DESCRIBE_CONFIGS"})),
        "small.rows",
        "may not READ it",
        "--operation READ --topic small.rows",
    ),
    (
        "fail",
        lambda g: replace(g, calls={"serving": "nothing answers gRPC at x"}, beats=[]),
        "serving",
        "it is down",
        "docker compose up -d serving",
    ),
    (
        "fail",
        lambda g: replace(g, calls={"serving": "nothing answers gRPC at x"}),
        "serving",
        "it runs, but nothing answers",
        "DRIFTLOOP_SERVING",
    ),
    (
        "fail",
        lambda g: replace(g, calls={"serving": "what listens at x is none of ours (INTERNAL)"}),
        "serving",
        "none of ours",
        "GRPC_PORT",
    ),
    (
        "warn",
        lambda g: replace(g, beats=[Beat("serving", "serving-0", "", NOW, NOW)]),
        "serving-0",
        "it is Driftloop of before 0.1.0",
        "pip install",
    ),
    (
        "warn",
        lambda g: replace(g, beats=[Beat("serving", "serving-0", "0.1.0", NOW, NOW - 9_000)]),
        "serving-0",
        "its clock is 9.0 s ahead of the broker's",
        "NTP",
    ),
    (
        "fail",
        lambda g: replace(g, beats=[Beat("serving", "serving-0", "0.1.0", NOW - HOUR, NOW)]),
        "serving-0",
        "behind the broker's",
        "NTP",
    ),
    (
        "warn",
        lambda g: replace(g, skew_ms=-9_000),
        "this machine",
        "9.0 s behind the broker's",
        "NTP",
    ),
    (
        "warn",
        lambda g: replace(g, skew_ms=HOUR),
        "this machine",
        "3600.0 s ahead of the broker's",
        "NTP",
    ),
    (
        "fail",
        lambda g: replace(without(g, "small.scores"), hidden=["small.scores"]),
        "permissions",
        "not allowed to see small.scores: whether they are there can't be told",
        "--operation DESCRIBE --operation DESCRIBE_CONFIGS --operation READ --topic small.scores",
    ),
    (
        "fail",
        lambda g: replace(without(g, "small.rows"), hidden=["small.rows"]),
        "permissions",
        "not allowed to see small.rows",
        "--topic small.rows",
    ),
    (
        "fail",
        lambda g: replace(g, disks=[Disk("/data", "the log", 5_000, 10**12)]),
        "/data",
        "a full disk stops the broker",
        "make room",
    ),
    (
        "fail",
        lambda g: replace(g, ends={RECORDS: Ends(45, 50, 50)}),
        "features-windows-small.g1 in small.g1.records[0]",
        "retention took 5 messages before they were read",
        "retention.ms of small.g1.records",
    ),
    (
        "warn",
        lambda g: replace(g, standings=[Standing("g", RECORDS, 40, NOW - 29 * 24 * HOUR)]),
        "g in small.g1.records[0]",
        "retention takes what it has not read soon",
        "start the service",
    ),
    (
        "fail",
        lambda g: replace(g, open_ms={RECORDS: NOW - 300_000}),
        "small.g1.records[0]",
        "a transaction has been open for 300 s",
        "find-hanging --topic small.g1.records --partition 0",
    ),
    (
        "warn",
        lambda g: replace(
            g, beats=[Beat("serving", f"serving-{n}", "0.1.0", NOW, NOW) for n in range(3)]
        ),
        "serving",
        "3 replicas share 2 partitions: 1 stand by",
        "run fewer",
    ),
    ("warn", lambda g: replace(g, unread=["x: timed out"]), "doctor", "x: timed out", "again"),
]


@pytest.mark.parametrize(("severity", "break_it", "subject", "says", "mend"), FAULTS)
def test_a_fault_is_found_and_its_mend_is_named(
    severity: str, break_it: Callable[[Ground], Ground], subject: str, says: str, mend: str
) -> None:
    found = [one for one in examine(break_it(sound())) if one.severity != "ok"]

    assert [(one.severity, one.subject) for one in found] == [(severity, subject)], found
    assert says in found[0].says
    assert mend in found[0].mend


def test_a_topic_must_reach_as_far_back_as_windows_and_horizon_look() -> None:
    long = SMALL.replace("horizon: 1d", "horizon: 60d")
    ground = replace(sound(), pipelines=[needs(spec.parse(long, "small"), 1)])

    found = {one.subject: one for one in examine(ground) if one.severity == "fail"}

    assert set(found) == {"small.g1.labels", "small.g1.features", "small.g1.predictions"}
    assert "it keeps 30 d, but small looks 60 d back" in found["small.g1.labels"].says
    assert found["small.g1.labels"].mend.endswith(f"retention.ms={60 * 24 * HOUR}")


def test_the_marker_that_ended_the_last_transaction_is_no_message_that_was_lost() -> None:
    read_to_the_end = Standing("features-windows-small.g1", RECORDS, 49)
    ground = replace(sound(), standings=[read_to_the_end], ends={RECORDS: Ends(50, 50, 50)})

    assert {one.severity for one in examine(ground)} == {"ok"}


def test_groups_of_removed_pipelines_and_of_earlier_generations_are_nobodys() -> None:
    ours = groups([needs(spec.parse(SMALL, "small"), 2)])

    assert {"registry", "training-control", "ingestion-order-small.g2"} <= ours
    assert not ours & {"ingestion-order-small.g1", "ingestion-order-gone.g2", "registry-more"}


def test_one_copy_on_three_brokers_is_a_warning_once() -> None:
    found = examine(replace(sound(), cluster=a_cluster(3)))

    assert [one.severity for one in found if "have one copy" in one.says] == ["warn"]


def test_the_worst_comes_first() -> None:
    ground = without(sound(), "driftloop.pulse")
    ground = replace(ground, cluster=a_cluster(auto_create_topics_enable="true"))

    assert [one.severity for one in examine(ground)][:3] == ["fail", "warn", "ok"]
