"""Who may ask: before any route, every request is checked here, and every answer gets its headers.

A browser that was led here by another site carries that site's Origin, or a Host that is not ours
(DNS rebinding needs a name of its own). So a Host that is a name must be one of ours, and whoever
wants something changed must come from the page itself.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES_MAX = 16_384  # a version and a reason
HEALTH = "/healthz"  # asked by an orchestrator under any name
READS = frozenset({"GET", "HEAD"})
HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; object-src 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "cache-control": "no-cache",  # asked again each time, so that an upgrade is seen at once
}


@dataclass(frozen=True, slots=True)
class Rules:
    """`names`: hosts beside localhost and IP addresses that this page is known under. `token`:
    what a change must show; None: on loopback, where nobody else is."""

    names: Sequence[str] = ()
    token: str | None = None

    def refusal(self, method: str, path: str, headers: Headers) -> tuple[int, str] | None:
        """Status and why, for a request that may not pass."""
        if path == HEALTH and method in READS:
            return None
        host = headers.get("host", "")
        if not self._ours(host):
            return 421, f"host {host!r} is not this page's; DRIFTLOOP_WEB_NAMES lists more"
        if method in READS:
            return None
        return self._change(host, headers)

    def _change(self, host: str, headers: Headers) -> tuple[int, str] | None:
        origin = headers.get("origin")
        if origin is not None and _parted(origin).netloc != host:
            return 403, f"origin {origin!r} is not this page"
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "another site asked for this"
        if headers.get("x-driftloop") != "1":
            return 403, "a change needs the header X-Driftloop: 1"
        if not headers.get("content-type", "").startswith("application/json"):
            return 415, "a change needs a body of application/json"
        return self._known(headers.get("authorization", ""))

    def _known(self, authorization: str) -> tuple[int, str] | None:
        if self.token is None:
            return None
        wanted = f"Bearer {self.token}".encode()
        if hmac.compare_digest(authorization.encode(), wanted):
            return None
        return 401, "a change needs the token that was printed when the page was started"

    def _ours(self, host: str) -> bool:
        name = _parted(f"//{host}").hostname or ""
        return name == "localhost" or name in self.names or _is_address(name)


def _parted(address: str) -> SplitResult:
    """An address that is none (`[abc`) has no parts, and is nobody's."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


class Guard:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app, self._rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._rules.refusal(scope["method"], scope["path"], headers)
        if refusal is None and _too_long(headers):
            refusal = 413, f"a body of at most {BODY_BYTES_MAX} bytes"
        if refusal is not None:
            status, why = refusal
            answer = JSONResponse({"error": why}, status)
            await answer(scope, receive, _with_headers(send))
            return
        await self._app(scope, _bounded(receive), _with_headers(send))


def is_loopback(host: str) -> bool:
    """An address, or a name, that only this machine can reach."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _too_long(headers: Headers) -> bool:
    length = headers.get("content-length", "0")
    fits = length.isdecimal() and len(length) <= len(str(BODY_BYTES_MAX))
    return not fits or int(length) > BODY_BYTES_MAX


def _bounded(receive: Receive) -> Receive:
    """A body without a length ends where it grows too long, as if its sender had gone."""
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        return message if taken <= BODY_BYTES_MAX else {"type": "http.disconnect"}

    return bounded


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sent
