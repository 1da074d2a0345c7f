"""Old releases stay told: the topic of releases is compacted, the log of record is not."""

from __future__ import annotations

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import ModelReleased, RegistryEvent
from driftloop.kit.topic import Emit
from tests.support.eventually import eventually
from tests.unit.client.world import a_client, a_log, said


def a_release(version: int, pipeline: str = "small") -> list[Emit]:
    """As the registry writes it: into the log of record, and for those that follow."""
    released = ModelReleased(
        pipeline=pipeline, version=version, by="gate", run_id=f"run-{version}", cause="release"
    )
    name = f"released-{pipeline}-{version}-run-{version}"
    fact = said(topics.REGISTRY_EVENTS, RegistryEvent(released=released), name, key=pipeline)
    return [fact, said(topics.MODEL_RELEASED, released, name, key=f"{pipeline}.g1")]


def test_explain_tells_every_release_once_though_only_the_newest_is_left_of_them() -> None:
    broker = a_log()
    broker.append([a_release(1)[0], a_release(2)[0], *a_release(3), *a_release(9, "other")])

    steps = [step for step in a_client(broker).explain("small") if step.kind == "released"]

    assert [step.numbers["version"] for step in steps] == [1, 2, 3]
    assert [step.run_id for step in steps] == ["run-1", "run-2", "run-3"]


def test_the_live_view_counts_releases_that_were_compacted_away() -> None:
    broker = a_log()
    broker.append([a_release(1)[0], a_release(2)[0], *a_release(3), *a_release(9, "other")])

    with a_client(broker).watch("small") as feed:
        feed.wait()
        eventually(lambda: feed.snapshot().releases == 3)
        assert feed.snapshot().model_version == 3
