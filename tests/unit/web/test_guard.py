"""Who may ask: other sites, other names and strangers are refused before any route is reached."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from driftloop.client.plain import Plain
from driftloop.kit.clock import FakeClock
from driftloop.kit.errors import Refused, Unavailable
from driftloop.web.app import Page, build
from driftloop.web.guard import BODY_BYTES_MAX, Rules, is_loopback
from driftloop.web.state import State
from driftloop.web.streams import Streams

OURS = "http://127.0.0.1:17300"
PROMOTE = "/api/pipelines/flights/promote"
ROLLBACK = "/api/pipelines/flights/rollback"
CHANGE = {"x-driftloop": "1", "content-type": "application/json"}


class Wishes:
    """Keeps what was asked for; refuses and fails where the version says so."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def promote(self, pipeline: str, version: int, reason: str = "") -> Plain:
        if version == 404:
            raise Refused("no version 404", status="NOT_FOUND")
        if version == 503:
            raise Unavailable("registry does not answer")
        self.heard.append((pipeline, version, reason))
        return {"version": version, "previous_version": 2}

    def rollback(self, pipeline: str, reason: str = "") -> Plain:
        self.heard.append((pipeline, reason))
        return {"version": 2, "previous_version": 0}


def asked(
    method: str,
    path: str,
    *,
    rules: Rules | None = None,
    wishes: Wishes | None = None,
    headers: Mapping[str, str] | None = None,
    url: str = OURS,
    **more: Any,
) -> httpx.Response:
    """One request to a page over nothing."""
    clock, state = FakeClock(), State()
    page = Page(state, wishes or Wishes(), clock, "1", "free", Streams(state, clock))
    app = build(page, rules or Rules())

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=url) as client:
            return await client.request(method, path, headers=headers, **more)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://localhost:17300", 200),
        ("http://127.0.0.1:17300", 200),
        ("http://[::1]:17300", 200),
        ("http://10.0.0.7:8080", 200),  # an address can't be rebound
        ("http://loop.example", 200),  # named by its owner
        ("http://evil.example:17300", 421),
        ("http://localhost.evil.example", 421),
        ("http://127.0.0.1.evil.example", 421),
    ],
)
def test_only_hosts_that_are_ours_are_answered(url: str, status: int) -> None:
    found = asked("GET", "/api/overview", url=url, rules=Rules(["loop.example"]))

    assert found.status_code == status
    assert ("error" in found.json()) == (status != 200)


@pytest.mark.parametrize("name", ["host", "origin"])
def test_an_address_that_is_none_is_nobodys(name: str) -> None:
    found = asked("POST", PROMOTE, headers={**CHANGE, name: "http://[abc"[7 * (name == "host") :]})

    assert found.status_code in (403, 421)
    assert found.json()["error"]


def test_health_is_answered_under_any_name() -> None:
    assert asked("GET", "/healthz", url="http://web:17300").json()["status"] == "up"


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, 200),
        ({"origin": OURS}, 200),
        ({"origin": OURS, "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"x-driftloop": "0"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_a_change_must_come_from_the_page_itself(changed: dict[str, str], status: int) -> None:
    wishes = Wishes()

    found = asked(
        "POST", PROMOTE, wishes=wishes, headers={**CHANGE, **changed}, content='{"version": 7}'
    )

    assert found.status_code == status
    assert wishes.heard == ([("flights", 7, "")] if status == 200 else [])


@pytest.mark.parametrize(
    ("authorization", "status"),
    [(None, 401), ("Bearer wrong", 401), ("Basic secret", 401), ("Bearer secret", 200)],
)
def test_where_others_can_reach_it_a_change_needs_the_token(
    authorization: str | None, status: int
) -> None:
    headers = {**CHANGE, **({"authorization": authorization} if authorization else {})}
    rules = Rules(token="secret")

    assert asked("GET", "/api/overview", rules=rules).status_code == 200
    found = asked("POST", ROLLBACK, rules=rules, headers=headers, content="{}")
    assert found.status_code == status


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ('{"version": 7, "reason": "better"}', 200, "version 7 is live"),
        ('{"version": 404}', 404, "no version 404"),
        ('{"version": 503}', 503, "registry does not answer"),
        ('{"version": "7"}', 400, "body:"),
        ('{"version": 7, "force": true}', 400, "body:"),
        ('{"version": -1}', 400, "body:"),
        ('{"version": 1099511627776}', 400, "body:"),
        ("{}", 400, "body:"),
        ("7", 400, "body:"),
        ("{", 400, "body:"),
        ('{"version": 7, "reason": "' + "x" * 2_001 + '"}', 400, "reason"),
        (" " * (BODY_BYTES_MAX + 1), 413, "at most"),
    ],
)
def test_a_wish_is_answered_in_a_sentence(body: str, status: int, says: str) -> None:
    found = asked("POST", PROMOTE, headers=CHANGE, content=body)

    assert found.status_code == status
    assert says in str(found.json())


@pytest.mark.parametrize("length", ["1" * 5_000, "-1", "x"])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    headers = CHANGE | {"content-length": length}
    assert asked("POST", PROMOTE, headers=headers, content="{}").status_code == 413


def test_a_body_that_grows_too_long_is_not_read_to_its_end() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1_000

    wishes = Wishes()

    found = asked("POST", PROMOTE, wishes=wishes, headers=CHANGE, content=endless())

    assert (found.status_code, wishes.heard) == (413, [])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/pipelines/nobody", 404),
        ("GET", "/api/pipelines/nobody/runs/run-1", 404),
        ("GET", "/api/pipelines/nobody/compare?a=1&b=2", 404),
        ("GET", "/api/pipelines/flights/compare?a=x&b=2", 400),
        ("GET", f"/api/pipelines/flights/compare?a={'9' * 5_000}&b=2", 400),
        ("GET", "/nothing", 404),
        ("GET", "/static/../app.py", 404),
        ("GET", "/static/%2e%2e/app.py", 404),
        ("GET", PROMOTE, 405),
        ("DELETE", "/api/pipelines/flights", 403),
    ],
)
def test_what_is_not_there_is_said_as_json(method: str, path: str, status: int) -> None:
    found = asked(method, path)

    assert found.status_code == status
    assert found.json()["error"]


def test_every_answer_carries_the_rules_for_browsers() -> None:
    for path in ("/api/overview", "/nothing", "/healthz"):
        headers = asked("GET", path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'; ")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("127.9.9.9", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.1.2.3", False),
        ("web", False),
    ],
)
def test_only_loopback_is_free_of_a_token(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone
