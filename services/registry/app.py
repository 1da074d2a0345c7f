"""Wiring of the registry: the control topics, the one loop, the doors."""

from __future__ import annotations

from driftloop.contracts.registry_pb2_grpc import add_RegistryServicer_to_server
from driftloop.kit.broker import Broker, Subscription
from driftloop.kit.inbox import Inbox
from driftloop.kit.log import logger
from driftloop.kit.loop import LoopSpec
from driftloop.kit.objects import Objects
from driftloop.kit.run import App, Kit
from services.registry import topology
from services.registry.config import Config
from services.registry.domain import terms
from services.registry.handlers import INPUTS, RegistryTask, Shown
from services.registry.meter import Meter
from services.registry.rpc import Doors
from services.registry.store import Store
from services.registry.tracing import Command

CONTROL_INTERVAL_S = (
    0.05  # the control plane's own: a run takes seconds, and its few events need no 20 ms
)
log = logger(__name__)


def build(config: Config, kit: Kit) -> App:
    inbox: Inbox[Command] = Inbox()
    shown = Shown()
    objects = Objects(config.artifacts or str(kit.data / "artifacts"))
    store = Store(objects, kit.data, artifact_bytes_max=config.artifact_bytes_max)
    doors = Doors(
        kit.broker, store, inbox, shown, kit.clock, answer_seconds_max=config.answer_seconds_max
    )

    def task() -> RegistryTask:
        return RegistryTask(
            terms,
            inbox,
            shown,
            deadline_default_ms=round(config.run_seconds_max * 1000),
            tracer=kit.tracer,
        )

    kit.metrics.before_scrape(Meter(kit.metrics, shown).show)

    def start() -> None:
        make_control_topics(kit.broker)
        kit.loops.start(
            LoopSpec(
                "registry",
                "",
                Subscription(
                    "registry",
                    INPUTS,
                    kit.transactional_id("registry", ""),
                    start=dict.fromkeys(INPUTS, "earliest"),
                ),
                task,
                interval_s=CONTROL_INTERVAL_S,
                wake=inbox.wake,
            )
        )

    return App(
        servicers=[lambda server: add_RegistryServicer_to_server(doors, server)], start=start
    )


def make_control_topics(broker: Broker) -> None:
    """What is missing is made; what differs is said and left as it is."""
    wanted = topology.control()
    made = broker.create(wanted)
    if made:
        log.info("control topics made", extra={"fields": {"topics": len(made)}})
    # what was made just now may not be shown yet, and is as it was asked for
    for difference in broker.differences([spec for spec in wanted if spec.name not in made]):
        log.warning("control topic differs: %s", difference)
