"""The topics' declarations and examples hold together, and each check refuses what it is for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from driftloop.contracts import topics
from driftloop.kit.envelope import batch_schema, decode
from driftloop.kit.topic import UNLIMITED
from infra.tools import declarations
from infra.tools.declarations import TopicFile, WrongTopic
from infra.tools.generate import ROOT
from infra.tools.topics_module import text
from tests.contract import examples

A_GOOD_TOPIC: dict[str, Any] = {
    "description": "What the live model answered.",
    "owner": "serving",
    "rows_by": "event_id",
    "partitions": "N",
    "value": "driftloop.v1.Predictions",
    "columns": {"event_id": "string"},
    "retention": "30d",
    "cleanup": "delete",
    "producers": ["serving"],
    "consumers": ["monitor"],
}
FILES = declarations.load(ROOT / "topics")


def test_a_good_declaration_is_accepted() -> None:
    topic = declarations.parse(A_GOOD_TOPIC, "generation", "predictions")

    assert topic.declaration.retention_ms == 30 * 86_400_000
    assert topic.declaration.message_bytes_max == 1 << 20
    assert topic.whole_name == "<p>.<g>.predictions"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"retension": "7d"}, "retension"),
        ({"partitions": 0}, "partitions"),
        ({"partitions": True}, "partitions"),
        ({"partitions": "M"}, "partitions"),
        ({"producers": ["nobody"]}, "producers"),
        ({"consumers": "monitor"}, "consumers"),
        ({"consumers": ["monitor", "monitor"]}, "consumers"),
        ({"owner": "nobody"}, "owner"),
        ({"retention": 30}, "retention"),
        ({"retention": "30"}, "retention"),
        ({"retention": "30 days"}, "retention"),
        ({"retention": "unlimited"}, "retention"),
        ({"retention": "unlimited", "log_of_record": True}, "retention"),
        ({"message_max": "1"}, "message_max"),
        ({"message_max": "1GB"}, "message_max"),
        ({"cleanup": "compress"}, "cleanup"),
        ({"cleanup": "compact"}, "key"),
        ({"format": "avro"}, "format"),
        ({"value": "Predictions"}, "value"),
        ({"columns": {"event_id": "text"}}, "columns.event_id"),
        ({"rows_by": "id"}, "rows_by"),
        ({"key": "event_id"}, "key"),
        ({"description": ""}, "description"),
        ({"log_of_record": "yes"}, "log_of_record"),
    ],
)
def test_a_wrong_declaration_is_refused_by_name(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(
        WrongTopic, match=rf"topics/generation/predictions\.yaml: {re.escape(named)}:"
    ):
        declarations.parse({**A_GOOD_TOPIC, **wrong}, "generation", "predictions")


@pytest.mark.parametrize("missing", declarations.REQUIRED)
def test_a_missing_key_is_refused_by_name(missing: str) -> None:
    document = {key: value for key, value in A_GOOD_TOPIC.items() if key != missing}

    with pytest.raises(WrongTopic, match=f"{missing}: missing"):
        declarations.parse(document, "generation", "predictions")


def test_all_mistakes_of_a_file_are_named_at_once() -> None:
    with pytest.raises(WrongTopic) as refused:
        declarations.parse(
            {**A_GOOD_TOPIC, "owner": "nobody", "retention": "7"}, "generation", "predictions"
        )

    assert len(str(refused.value).splitlines()) == 2


@pytest.mark.parametrize(
    "name", ["Predictions", "pre_dictions", "1predictions", "predictions.", ""]
)
def test_an_illegal_name_is_refused(name: str) -> None:
    with pytest.raises(WrongTopic, match="name:"):
        declarations.parse(A_GOOD_TOPIC, "generation", name)


def test_a_control_topic_has_no_number_of_a_pipelines_partitions() -> None:
    with pytest.raises(WrongTopic, match="partitions"):
        declarations.parse(A_GOOD_TOPIC, "control", "predictions")


def test_dead_letters_outlive_what_ingestion_writes() -> None:
    records = declarations.parse(
        {**A_GOOD_TOPIC, "owner": "ingestion", "retention": "90d"}, "generation", "records"
    )
    dead = declarations.parse(
        {**A_GOOD_TOPIC, "owner": "ingestion", "retention": "60d"}, "pipeline", "dead"
    )

    assert declarations.between([records, dead]) != []
    assert declarations.between([records]) == []


def test_two_topics_of_one_name_in_the_code_are_refused() -> None:
    one = declarations.parse(A_GOOD_TOPIC, "generation", "predictions")

    assert declarations.between([one, one]) != []


def test_a_file_that_is_no_yaml_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "live.yaml").write_text("description: a: b\n")

    with pytest.raises(WrongTopic, match=r"control/live\.yaml: not YAML"):
        declarations.load(tmp_path)


def test_an_unknown_message_is_refused_by_name() -> None:
    topic = declarations.parse(
        {**A_GOOD_TOPIC, "value": "driftloop.v1.Nothing"}, "generation", "predictions"
    )

    with pytest.raises(WrongTopic, match=r"no message driftloop\.v1\.Nothing"):
        text([topic], {})


@pytest.mark.parametrize("topic", FILES, ids=lambda topic: topic.suffix)
def test_the_key_is_a_field_of_the_message_or_words(topic: TopicFile) -> None:
    message = getattr(topics, topic.constant).message

    assert not topic.key or " " in topic.key or topic.key in message.DESCRIPTOR.fields_by_name


@pytest.mark.parametrize("topic", FILES, ids=lambda topic: topic.suffix)
def test_what_is_kept_for_ever_is_compacted_or_a_log_of_record(topic: TopicFile) -> None:
    declaration = topic.declaration

    assert (
        declaration.retention_ms != UNLIMITED
        or declaration.cleanup == "compact"
        or topic.log_of_record
    )


@pytest.mark.parametrize("topic", FILES, ids=lambda topic: topic.suffix)
def test_every_topic_has_an_example(topic: TopicFile) -> None:
    wanted = {"none": "", "raw": "*.raw"}.get(topic.value, "*.txtpb")

    assert not wanted or list((examples.FOLDER / topic.suffix).glob(wanted))


def test_every_example_is_of_a_topic() -> None:
    assert [
        path
        for path in examples.FOLDER.iterdir()
        if path.name not in {topic.suffix for topic in FILES}
    ] == []


@pytest.mark.parametrize(
    "path", examples.paths(), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_an_example_decodes_and_encodes_back_to_the_same_bytes(path: Path) -> None:
    message = examples.message(path)
    data = message.SerializeToString(deterministic=True)

    assert data
    assert type(message).FromString(data).SerializeToString(deterministic=True) == data


@pytest.mark.parametrize(
    "path", examples.paths(), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_an_example_of_a_json_topic_survives_json(path: Path) -> None:
    message = examples.message(path)
    there = json_format.MessageToJson(message, preserving_proto_field_name=True)

    assert json_format.Parse(there, type(message)()) == message


@pytest.mark.parametrize(
    "topic", [t for t in FILES if t.declaration.columns], ids=lambda topic: topic.suffix
)
def test_an_envelopes_columns_are_those_declared(topic: TopicFile) -> None:
    envelope: Any = next(examples.of(topic.suffix))

    batch = decode(envelope.columns, batch_schema(topic.declaration.columns))

    assert batch.num_rows == envelope.rows
    assert batch.schema.names == list(topic.declaration.columns)
