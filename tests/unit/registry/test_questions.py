"""The registry's lists and names: pages, filters, etags, and wishes that come twice."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import pytest
from google.protobuf.message import Message

from driftloop.contracts.model_pb2 import ModelVersion
from driftloop.contracts.registry_pb2 import (
    GetModelRequest,
    GetRunRequest,
    ListModelsRequest,
    ListRunsRequest,
    PromoteRequest,
    RollbackRequest,
    UpdateModelRequest,
)
from driftloop.kit.clock import FakeClock
from driftloop.kit.errors import Refused
from services.registry.domain import Unwanted
from services.registry.questions import Questions
from services.registry.rpc import _mark, _promote, _rollback
from tests.unit.registry.history import lived
from tests.unit.registry.stories import House, resolved, trained

FLIGHTS = "pipelines/flights"


class Asked(Questions):
    """The questions without a server."""

    def __init__(self, house: House) -> None:
        self._shown, self._clock = house.shown, FakeClock()


def ask(house: House, call: str, request: Message) -> Any:
    """The answer; a refusal is raised as it is, since no server turns it into a status."""
    return inspect.unwrap(getattr(Questions, call))(Asked(house), request, None)


def a_house(versions: int = 5) -> House:
    house = House(stored="abcdefg")
    for number, name in enumerate("abcdefg"[:versions]):
        house.run(f"r{number + 1}", name, number)
    return house


def versions(models: Iterable[ModelVersion]) -> list[int]:
    return [model.version for model in models]


@pytest.mark.parametrize(
    ("order", "pages"), [("", [[1, 2], [3, 4], [5]]), ("version desc", [[5, 4], [3, 2], [1]])]
)
def test_pages_of_models_hold_each_version_once(order: str, pages: list[list[int]]) -> None:
    house, token, seen = a_house(), "", []
    while True:
        request = ListModelsRequest(parent=FLIGHTS, page_size=2, page_token=token, order_by=order)
        reply = ask(house, "ListModels", request)
        seen.append(versions(reply.models))
        token = reply.next_page_token
        if not token:
            break
    assert seen == pages


def test_a_run_that_opens_between_two_pages_moves_no_row_of_the_second() -> None:
    house = a_house(3)
    first = ask(house, "ListRuns", ListRunsRequest(parent=FLIGHTS, page_size=2))
    house.hear(resolved("r9"))
    then = ListRunsRequest(parent=FLIGHTS, page_size=2, page_token=first.next_page_token)
    second = ask(house, "ListRuns", then)
    assert [run.name for run in first.runs] == [f"{FLIGHTS}/runs/r3", f"{FLIGHTS}/runs/r2"]
    assert [run.opened.run_id for run in second.runs] == ["r1"] and not second.next_page_token
    assert len(ask(house, "ListRuns", ListRunsRequest(parent="pipelines/-")).runs) == 4


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("version >= 3 AND version != 4", [3, 5]),
        ("tags.team = risk", [2]),
        ('pinned = true and note = "of the sale"', [2]),
        ("alias = previous", [4]),
        ("released_by = nobody", []),
    ],
)
def test_models_are_narrowed_by_a_filter(text: str, found: list[int]) -> None:
    house = a_house()
    said = UpdateModelRequest(
        pipeline="flights", version=2, pinned=True, note="of the sale", tags={"team": "risk"}
    )
    house.obey(lambda book, now_ms: _mark(book, said, now_ms))
    reply = ask(house, "ListModels", ListModelsRequest(parent=FLIGHTS, filter=text))
    assert versions(reply.models) == found


def test_runs_are_narrowed_by_what_came_of_them() -> None:
    house = a_house(2)
    house.hear(resolved("r3"), trained("r3", outcome="failed"), resolved("r4"))
    for text, names in (("outcome = failed", ["r3"]), ("outcome = open", ["r4"])):
        reply = ask(house, "ListRuns", ListRunsRequest(parent=FLIGHTS, filter=text))
        assert [run.opened.run_id for run in reply.runs] == names
    assert (
        ask(house, "GetRun", GetRunRequest(name=f"{FLIGHTS}/runs/r3")).finished.outcome == "failed"
    )


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (ListModelsRequest(parent="flights"), "wanted pipelines/PIPELINE"),
        (ListModelsRequest(parent=FLIGHTS, filter="verson = 3"), "no field 'verson'; there is"),
        (ListModelsRequest(parent=FLIGHTS, filter="version = x"), "version is a number"),
        (ListModelsRequest(parent=FLIGHTS, filter="note > a"), "only numbers have an order"),
        (ListModelsRequest(parent=FLIGHTS, filter="pinned"), "wanted FIELD = VALUE"),
        (ListModelsRequest(parent=FLIGHTS, page_token="7"), "wanted next_page_token"),
        (ListModelsRequest(parent=FLIGHTS, order_by="auc"), "wanted version, or version desc"),
    ],
)
def test_a_list_that_cannot_be_made_is_refused_in_a_line(
    request_: ListModelsRequest, text: str
) -> None:
    with pytest.raises(Refused, match=text):
        ask(a_house(1), "ListModels", request_)


def test_a_token_of_another_list_is_refused() -> None:
    house = a_house()
    first = ask(house, "ListModels", ListModelsRequest(parent=FLIGHTS, page_size=2))
    other = ListModelsRequest(
        parent=FLIGHTS, page_token=first.next_page_token, filter="version > 1"
    )
    with pytest.raises(Refused, match="with the same parent, filter and order"):
        ask(house, "ListModels", other)


def test_a_model_is_found_by_its_name_and_by_an_alias() -> None:
    house = a_house(2)
    by_number = ask(house, "GetModel", GetModelRequest(name=f"{FLIGHTS}/models/1"))
    by_alias = ask(house, "GetModel", GetModelRequest(name=f"{FLIGHTS}/models/previous"))
    assert by_number == by_alias and by_number.name == f"{FLIGHTS}/models/1" and by_number.etag
    with pytest.raises(Refused, match="flights@9 does not exist"):
        ask(house, "GetModel", GetModelRequest(name=f"{FLIGHTS}/models/9"))


def test_a_rollback_that_is_asked_for_again_goes_back_once_also_after_a_restart() -> None:
    house = a_house(3)
    request = RollbackRequest(pipeline="flights", by="ann", request_id="q1")
    first = house.obey(lambda book, now_ms: _rollback(book, request, now_ms))
    house.loop.close()
    house.start()
    again = house.obey(lambda book, now_ms: _rollback(book, request, now_ms))
    assert first == again and first.version == 2
    assert [release.version for release in house.releases()] == [1, 2, 3, 2]
    other = UpdateModelRequest(pipeline="flights", version=1, pinned=True, request_id="q1")
    promote = PromoteRequest(pipeline="flights", version=1, request_id="q1")
    for wish in (
        lambda book, now_ms: _mark(book, other, now_ms),
        lambda book, now_ms: _promote(book, promote, now_ms),
    ):
        with pytest.raises(Unwanted, match="was used for another wish"):
            house.obey(wish)


def test_what_has_changed_since_it_was_read_is_not_written_over() -> None:
    house = a_house(2)
    read = ask(house, "GetModel", GetModelRequest(name=f"{FLIGHTS}/models/1")).etag
    pin = UpdateModelRequest(pipeline="flights", version=1, pinned=True, etag=read)
    told = house.obey(lambda book, now_ms: _mark(book, pin, now_ms))
    assert told.etag != read
    for stale in (
        lambda book, now_ms: _mark(book, pin, now_ms),
        lambda book, now_ms: _promote(
            book, PromoteRequest(pipeline="flights", version=1, etag=read), now_ms
        ),
    ):
        with pytest.raises(Unwanted, match="has changed since it was read") as refused:
            house.obey(stale)
        assert refused.value.changed


def test_a_ledger_of_many_versions_is_the_same_when_it_is_made_again_from_the_log() -> None:
    live, log = lived(versions=60, rejected=20)
    house = House(declared=False, stored="")
    house.loop.close()
    house.broker.append(log)
    house.start()
    assert house.ledger == live
    newest = ListModelsRequest(parent=FLIGHTS, page_size=1, order_by="version desc")
    assert versions(ask(house, "ListModels", newest).models) == [60]
