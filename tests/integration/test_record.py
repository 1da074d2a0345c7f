"""The record of a model on a real Kafka, with registry and training as processes: its window is
archived, the log's records are deleted, and the model is made again to the byte; a changed archive
is refused. The long form tries twenty rebuilds over restarts of everything.
"""

from __future__ import annotations

from pathlib import Path

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import Span
from driftloop.contracts.registry_pb2 import ModelsRequest, QuarantineRequest
from driftloop.contracts.registry_pb2_grpc import RegistryStub
from driftloop.contracts.training_pb2 import (
    ModelWindow,
    RebuildReply,
    RebuildRequest,
    TrainRequest,
    WindowsRequest,
)
from driftloop.contracts.training_pb2_grpc import TrainingStub
from tests.integration.test_training import (
    ROWS,
    House,
    a_house,
    applied,
    ended,
    labelled,
    request,
)
from tests.support.eventually import eventually
from tests.support.kafka import SharedKafka
from tests.unit.training.examples import START_US, STEP_US

AT_ONCE = {"TRAINING_ARCHIVE_SHARE": "1", "TRAINING_ARCHIVE_SECONDS": "0.5"}
SPAN = Span(from_us=START_US + 500 * STEP_US, to_us=START_US + 900 * STEP_US)


def rebuilt(house: House, version: int = 1) -> RebuildReply:
    with house.channel("training") as channel:
        asked = RebuildRequest(pipeline="sea", version=version)
        return TrainingStub(channel).Rebuild(asked, wait_for_ready=True, timeout=90)


def windows(house: House) -> list[ModelWindow]:
    with house.channel("training") as channel:
        asked = WindowsRequest(pipeline="sea")
        return list(TrainingStub(channel).Windows(asked, wait_for_ready=True, timeout=30).windows)


def archived(house: House) -> bool:
    found = windows(house)
    assert found[0].in_archive, f"{found}\n{house.trouble()}"
    return True


def deleted(house: House) -> None:
    """All that `examples` holds, by Kafka's own DeleteRecords."""
    topic = topics.EXAMPLES.topic("sea", 1).name
    outer = house.broker.names.outer(topic)
    ends = [
        TopicPartition(outer, number, house.broker.bounds(topic, number)[1])
        for number in range(house.broker.partitions(topic) or 0)
    ]
    admin = AdminClient(dict(house.kafka.properties))  # its answers die with it
    for answer in admin.delete_records(ends).values():
        answer.result(20)


def tampered(path: Path) -> None:
    """One target of one row, as a person with an editor would."""
    table = pq.read_table(path)
    targets = table.column("target").to_numpy().copy()
    targets[7] = 1.0 - targets[7]
    at = table.column_names.index("target")
    pq.write_table(table.set_column(at, "target", pa.array(targets)), path)


@pytest.mark.timeout(180)
def test_a_model_outlives_its_rows_in_the_log_and_is_made_again_to_the_byte(
    kafka: SharedKafka, prefix: str, tmp_path: Path
) -> None:
    with a_house(kafka, prefix, tmp_path, AT_ONCE) as house:
        eventually(lambda: applied(house), within_s=60)
        house.broker.append(labelled())
        house.broker.append([request("r1")])
        (first,) = eventually(ended(house, 1), within_s=60)
        assert first.outcome == "released", first.reason

        reply = rebuilt(house)
        assert reply.equal and reply.source == "log", reply
        eventually(lambda: archived(house), within_s=30)
        deleted(house)
        (window,) = windows(house)
        assert (window.state, window.in_log) == ("archived", False)
        reply = rebuilt(house)
        assert reply.equal and reply.source == "archive", reply

        tampered(Path(window.place))
        reply = rebuilt(house)
        assert not reply.equal
        assert [cause.what for cause in reply.causes] == ["rows"]
        assert "the file was changed" in reply.causes[0].found
        Path(window.place).unlink()
        assert [cause.what for cause in rebuilt(house).causes] == ["window"]
        quarantined(house)


def quarantined(house: House) -> None:
    """Rows of a span are left out of the next window, and the next alone."""
    with house.channel("registry") as channel:
        asked = QuarantineRequest(pipeline="sea", span=SPAN, reason="a broken sensor", by="test")
        RegistryStub(channel).Quarantine(asked, timeout=20)
    house.broker.append(labelled(seed=2))
    with house.channel("training") as channel:
        wish = TrainRequest(pipeline="sea", span=Span(to_us=START_US + 2_000 * STEP_US), by="test")
        TrainingStub(channel).Train(wish, wait_for_ready=True, timeout=20)
    second = eventually(ended(house, 2), within_s=60)[1]
    assert second.outcome in ("released", "rejected"), second.reason
    trained = house.log(topics.MODEL_TRAINED)[1]
    assert [one.error for one in trained.candidates] == ["", "", ""], trained
    window, held = trained.candidates[0].window, trained.holdout
    assert window.rows + held.rows == 2_000 - 400
    assert list(window.without) == [SPAN]
    assert window.end_us < held.start_us <= held.end_us < START_US + 2_000 * STEP_US


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_twenty_of_twenty_rebuilds_are_equal_across_processes_and_restarts(
    kafka: SharedKafka, prefix: str, tmp_path: Path
) -> None:
    with a_house(kafka, prefix, tmp_path, AT_ONCE) as house:
        eventually(lambda: applied(house), within_s=60)
        for number in range(4):
            house.broker.append(labelled(seed=number, first=number * ROWS))
            house.broker.append([request(f"r{number}")])
            eventually(ended(house, number + 1), within_s=60)
        with house.channel("registry") as channel:
            models = RegistryStub(channel).Models(ModelsRequest(pipeline="sea"), timeout=20).models
        versions = [model.version for model in models]
        assert versions
        equal = []
        for number in range(20):
            if number % 5 == 4:
                restarted(house)
            if number == 10:
                eventually(lambda: archived(house), within_s=30)
            equal.append(rebuilt(house, versions[number % len(versions)]).equal)
        assert equal == [True] * 20


def restarted(house: House) -> None:
    """All services are killed and begin anew."""
    for name in house.ports:
        house.kill(name)
        house.start(name)
    eventually(lambda: answers(house), within_s=60)


def answers(house: House) -> bool:
    with house.channel("registry") as channel:
        try:
            RegistryStub(channel).Models(ModelsRequest(pipeline="sea"), timeout=5)
        except grpc.RpcError as error:
            raise AssertionError(error.details()) from error
    return True
