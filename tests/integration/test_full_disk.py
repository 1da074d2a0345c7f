"""A full volume, and one that can't be written: said in a sentence, nothing half written, nothing
lost; once there is room, all goes on by itself. On real file systems of a few kB or MB.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from driftloop.kit.broker import TopicSpec
from driftloop.kit.errors import Unavailable
from driftloop.kit.kafka import KafkaBroker
from driftloop.kit.objects import Objects
from infra.local import kafka as local
from infra.local.kafka import Kafka
from infra.local.stack import Stack
from infra.local.supervisor import Service, Supervisor
from services.registry.store import Store
from services.serving.store import Cache
from tests.support.eventually import eventually
from tests.unit.serving.nets import a_model
from tests.unit.serving.stories import House

DATA = os.urandom(100_000)
DIGEST = hashlib.sha256(DATA).hexdigest()
Volume = Callable[[str], Path]


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    """A file system of its own, by its options; needs root on Linux."""
    with ExitStack() as ends:

        def mounted(options: str) -> Path:
            folder = tmp_path / f"volume-{options.replace(',', '-')}"
            folder.mkdir()
            command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
            linux = sys.platform == "linux"
            if not linux or subprocess.run(command, check=False, capture_output=True).returncode:
                pytest.skip("a volume can't be mounted here: it takes root on Linux")
            ends.callback(subprocess.run, ["umount", "-l", str(folder)], check=True)
            return folder

        yield mounted


def filled(folder: Path) -> Path:
    """All of its room is taken by one file, which is given back."""
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        try:
            while True:
                file.write(bytes(65_536))
                file.flush()
        except OSError:
            return ballast


def test_an_artifact_without_room_leaves_nothing_behind_and_is_kept_once_there_is(
    volume: Volume,
) -> None:
    folder = volume("size=256k")
    store, ballast = (
        Store(Objects(str(folder)), folder, artifact_bytes_max=1_000_000),
        filled(folder),
    )

    with pytest.raises(Unavailable, match=r"write .*: No space left on device"):
        store.write(DIGEST, [DATA])

    assert [path for path in folder.rglob("*") if path.is_file()] == [ballast]
    assert store.size(DIGEST) is None
    ballast.unlink()
    assert store.write(DIGEST, [DATA]) == len(DATA)
    assert b"".join(store.read(DIGEST)) == DATA


def test_a_cache_without_room_leaves_nothing_behind(volume: Volume) -> None:
    folder = volume("size=256k")
    cache, ballast = Cache(folder, artifacts_max=5), filled(folder)

    with pytest.raises(Unavailable, match="can't be written: No space left on device"):
        cache.put(DIGEST, DATA)

    assert list(folder.iterdir()) == [ballast]
    ballast.unlink()
    cache.put(DIGEST, DATA)
    assert cache.get(DIGEST) == DATA


def test_a_release_goes_live_though_its_cache_has_no_room(volume: Volume) -> None:
    folder = volume("size=64k")
    ballast = filled(folder)
    house = House(folder)
    house.models.read_to_end()
    try:
        house.release(1, a_model(1.0, -1.0, 0.5))
        eventually(lambda: house.standing.current is not None, within_s=10)
        ballast.unlink()
        house.release(2, a_model(0.1, 2.0, -0.5))
        eventually(lambda: len(list((folder / "models").glob("*.onnx"))) == 1, within_s=10)
    finally:
        house.models.stop()


@pytest.mark.parametrize(("options", "mend"), [("size=16k", "make room"), ("ro", "mend that")])
def test_a_stack_that_can_not_write_says_so_in_a_sentence(
    volume: Volume, options: str, mend: str
) -> None:
    folder = volume(options)
    if options != "ro":
        filled(folder)

    with pytest.raises(Unavailable, match=rf"{folder}/run.*: .*; {mend} and start again"):
        Stack(folder / "run", environ={}).up()

    assert list(folder.rglob("stack.json")) == []


@pytest.mark.soak
@pytest.mark.timeout(240)
def test_a_broker_whose_disk_fills_up_keeps_all_that_it_acknowledged(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(local, "FREE_MB_MIN", 1)
    folder, said = volume("size=160m"), list[str]()
    kafka = Kafka(folder, heap_mb=256)
    kafka.start()
    supervisor = Supervisor(tmp_path / "log", said.append)
    with ExitStack() as ends:
        ends.callback(kafka.stop)
        ends.callback(supervisor.stop)
        service = Service("kafka", kafka.command, dict(os.environ), folder)
        supervisor.adopt(service, kafka.process)
        broker = KafkaBroker({"bootstrap.servers": kafka.bootstrap})
        ends.callback(broker.close)
        broker.create([TopicSpec("full", 1)])
        kept = _until_it_ends(kafka.bootstrap, supervisor, folder)
        (folder / "ballast").unlink()
        eventually(lambda: _end(broker) >= kept, within_s=120, every_s=0.5)
        assert _values(kafka.bootstrap, kept) == [b"%d" % number for number in range(kept)]
    # its log is on the same volume, so its last words may be cut off
    assert any(word in line for line in said for word in ("No space left", "failed log dir")), said


def _until_it_ends(bootstrap: str, supervisor: Supervisor, folder: Path) -> int:
    """Records in order until the full disk ends the broker: how many of them it acknowledged."""
    acknowledged: list[int] = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "delivery.timeout.ms": 3_000,
            "batch.num.messages": 1,
        }
    )

    def delivered(error: object, message: object) -> None:
        if error is None:
            acknowledged.append(1)

    filled(folder)
    number = 0
    while not supervisor.states()["kafka"].exits:
        producer.produce("full", b"%d" % number, on_delivery=delivered)
        producer.flush(5)
        number += 1
    producer.flush(5)
    return len(acknowledged)


def _end(broker: KafkaBroker) -> int:
    """-1 while it is being started again."""
    try:
        return broker.bounds("full", 0)[1]
    except Unavailable:
        return -1


def _values(bootstrap: str, count: int) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader"})
    consumer.assign([TopicPartition("full", 0, 0)])
    found: list[bytes | None] = []
    while len(found) < count:
        message = consumer.poll(5.0)
        assert message is not None, f"{len(found)} of {count}"
        found.append(message.value())
    consumer.close()
    return found
