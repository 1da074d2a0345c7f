"""What nobody must read: which settings hold secrets, and texts with them left out.

The first line of defence is not to write a secret down: settings that hold one show `***` when they
are shown. This is the second line, for texts that others have made: errors, logs, tracebacks.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

HIDDEN = "***"
# shorter than this it is no secret, and hiding it would make every other word unreadable
SECRET_CHARACTERS_MIN = 4
DEPTH_MAX = 6  # of nested fields; what lies deeper is shown as text
# The id of a key (AWS_ACCESS_KEY_ID) opens nothing; a store's refusal names it.
_NAME = re.compile(
    r"(password|passwd|passphrase|secret|jaas\.config|oauthbearer\.config|key\.pem|credentials?"
    r"|(api|access|account|sas|encryption|customer)\.key(\.base64)?|(^|\.)token|(^|\.)headers)$"
)
_END = r"[^\s\"'\\,;&}\])]+"
_PATTERNS = (
    # who:password@host of any URL; the name stays, the password goes
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@\"']*):[^\s/@\"']+@", re.IGNORECASE), r"\1:***@"),
    (re.compile(rf"(?i)\b(bearer|basic)\s+(?!\*)(?=[^\s]{{8}}){_END}"), r"\1 ***"),
    (
        re.compile(
            r"(?i)((?:password|passwd|passphrase|secret|token|api[._-]?key)[\"']?\s*[=:]\s*[\"']?)"
            rf"(?![*\[(\"']){_END}"
        ),
        r"\1***",
    ),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*-----|$)", re.S), "***"),
)


class Properties(dict[str, str]):
    """Settings by name, as librdkafka's; shown without the secret ones, wherever they are shown."""

    def __repr__(self) -> str:
        return repr({name: shown(name, value) for name, value in self.items()})

    __str__ = __repr__


class Redactor:
    """Leaves out the secrets that it was made with, and what looks like one to anybody."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.secrets = frozenset(s for s in secrets if len(s) >= SECRET_CHARACTERS_MIN)
        forms = sorted({form for s in self.secrets for form in _forms(s)}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, forms))) if forms else None

    def text(self, text: str) -> str:
        """`text` without them."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        return text

    def value(self, value: Any, depth: int = 0) -> Any:
        """The same for plain values, names of fields heeded; what is neither is shown as text."""
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if depth < DEPTH_MAX and isinstance(value, Mapping):
            return {str(k): self.named(str(k), v, depth + 1) for k, v in value.items()}
        if depth < DEPTH_MAX and isinstance(value, (list, tuple, set, frozenset)):
            return [self.value(part, depth + 1) for part in value]
        return self.text(str(value))

    def named(self, name: str, value: Any, depth: int = 0) -> Any:
        """A field: hidden by its name, or cleaned."""
        return HIDDEN if value and is_secret(name) else self.value(value, depth)


def is_secret(name: str) -> bool:
    """Whether a setting of this name (`sasl.password`, `KAFKA_SASL_PASSWORD`) holds a secret."""
    return _NAME.search(name.lower().replace("_", ".").replace("-", ".")) is not None


def shown(name: str, value: str) -> str:
    """A setting as it may be seen."""
    return HIDDEN if value and is_secret(name) else Redactor().text(value)


def secrets_of(settings: Mapping[str, str]) -> frozenset[str]:
    """The values that must not be seen: those of secret names, and the passwords of URLs."""
    found = {value for name, value in settings.items() if is_secret(name)}
    headers = [v for name, v in settings.items() if name.lower().endswith("headers")]
    found |= {part for value in headers for part in _in_headers(value)}
    found |= {password for value in settings.values() for password in _in_url(value)}
    return frozenset(value for value in found if len(value) >= SECRET_CHARACTERS_MIN)


def _in_headers(value: str) -> Iterator[str]:
    """Of `name=value,name=value` the values: as they stand, as they are sent, and without the word
    before them, as in `Bearer%20…`."""
    for part in value.split(","):
        given = part.partition("=")[2].strip()
        sent = urllib.parse.unquote(given).strip()
        yield from (given, sent, sent.rpartition(" ")[2])


def _in_url(value: str) -> list[str]:
    return re.findall(r"://[^\s/:@]*:([^\s/@]+)@", value)


def _forms(secret: str) -> set[str]:
    """As it stands, and as it looks quoted by Python, by JSON and in a URL."""
    quoted = {repr(secret)[1:-1], json.dumps(secret)[1:-1], urllib.parse.quote(secret, safe="")}
    return {secret, secret.strip(), *quoted} - {""}
