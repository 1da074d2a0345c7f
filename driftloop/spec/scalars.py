"""The small values of a pipeline file: durations (int microseconds), field types, names; windows
and weights of learners.
"""

from __future__ import annotations

import re
from math import inf
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

UNITS_US = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
DURATION_US_MAX = 3_650 * UNITS_US["d"]  # ten years: more is a slip of the unit
CLASS_CHARACTERS_MAX = 60
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(us|ms|s|m|h|d|w)")
FIELD_TYPES = ("string", "float", "int", "bool", "time", "time[s]", "time[ms]", "time[us]")
ARROW_TYPES = {
    "string": "string",
    "float": "float64",
    "int": "int64",
    "bool": "bool",
    "time": "int64",
}


def wrong(found: object, wanted: str) -> PydanticCustomError:
    """The error of a validator, in the two halves that a Mistake has."""
    return PydanticCustomError(
        "spec", "{found}, wanted {wanted}", {"found": repr(found), "wanted": wanted}
    )


def duration_us(value: object) -> int:
    """`"48h"` → microseconds. Raises PydanticCustomError."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise wrong(value, "a duration with its unit (us, ms, s, m, h, d, w), as in 48h")
    us = round(float(match[1]) * UNITS_US[match[2]])
    if not 0 < us <= DURATION_US_MAX:
        raise wrong(value, "a duration above 0 and at most 3650d")
    return us


def duration_or_zero_us(value: object) -> int:
    """As `duration_us`, and `0` too: no lateness is a choice."""
    return 0 if value == 0 and not isinstance(value, bool) else duration_us(value)


def duration_text(us: int) -> str:
    """The shortest way to write it: 172800000000 → `2d`."""
    for unit, size in reversed(UNITS_US.items()):
        if us and us % size == 0:
            return f"{us // size}{unit}"
    return "0"


_DURATION_SCHEMA = {"type": "string", "pattern": f"^{_DURATION.pattern}$", "examples": ["48h"]}
Duration = Annotated[
    int,
    BeforeValidator(duration_us),
    PlainSerializer(duration_text, when_used="json"),
    WithJsonSchema(_DURATION_SCHEMA),
]
DurationOrZero = Annotated[
    int,
    BeforeValidator(duration_or_zero_us),
    PlainSerializer(duration_text, when_used="json"),
    WithJsonSchema({"anyOf": [_DURATION_SCHEMA, {"const": 0}]}),
]


def _field_type(value: object) -> str:
    if not isinstance(value, str) or value.removesuffix("?") not in FIELD_TYPES:
        raise wrong(
            value, f"one of {', '.join(FIELD_TYPES)}; with ? where it may be missing or null"
        )
    return value


FieldType = Annotated[
    str,
    BeforeValidator(_field_type),
    WithJsonSchema({"enum": [name + mark for name in FIELD_TYPES for mark in ("", "?")]}),
]


def kind_of(field_type: str) -> str:
    """`time[ms]?` → `time`: what two fields of one name must share."""
    return field_type.removesuffix("?").split("[")[0]


def arrow_of(field_type: str) -> str:
    """The Arrow type of a field's column."""
    return ARROW_TYPES[kind_of(field_type)]


def _scalar(value: object) -> object:
    if value is not None and not isinstance(value, bool | int | float | str):
        raise wrong(value, "a number, a string, true, false or null")
    return value


Scalar = Annotated[
    Any, BeforeValidator(_scalar), WithJsonSchema({"type": ["number", "string", "boolean", "null"]})
]


def _class_name(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not 0 < len(value) <= CLASS_CHARACTERS_MAX:
        raise wrong(value, f"a text of 1 to {CLASS_CHARACTERS_MAX} characters, or a whole number")
    return value


ClassName = Annotated[
    str, BeforeValidator(_class_name), WithJsonSchema({"type": ["string", "integer"]})
]


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


OneOrMore = BeforeValidator(_one_or_more)  # `role: predict` says the same as `role: [predict]`


NEWEST_ROWS = re.compile(r"[1-9][0-9]{0,5} rows$")  # below a million
_NEWEST = f"{_DURATION.pattern}|{NEWEST_ROWS.pattern[:-1]}"


def _learner_window(value: object) -> str:
    text = value if isinstance(value, str) else ""
    newest = text.removeprefix("newest ") if text.startswith("newest ") else ""
    if text in ("all", "since change") or _DURATION.fullmatch(newest) or NEWEST_ROWS.match(newest):
        return text
    raise wrong(value, "`all`, `since change`, `newest <duration>`, as in newest 56d, or `newest "
                       "<number> rows`")  # fmt: skip


LearnerWindow = Annotated[
    str,
    BeforeValidator(_learner_window),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^(all|since change|newest ({_NEWEST}))$",
        }
    ),
]


def _class_weights(value: Any) -> Any:
    if value == "balanced":
        return value
    if not isinstance(value, dict) or not value or not all(map(_above_zero, value.values())):
        raise wrong(value, "`balanced`, or a number above 0 for each class, as in {late: 3}")
    return {str(name): float(weight) for name, weight in value.items()}


def _above_zero(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < inf


ClassWeights = Annotated[
    Any,
    BeforeValidator(_class_weights),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": "balanced"},
                {
                    "type": "object",
                    "additionalProperties": {"type": "number", "exclusiveMinimum": 0},
                },
            ]
        }
    ),
]
