"""Expressions: values by column, missing values, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.spec import expression
from driftloop.spec.expression import WrongExpression

TYPES = {"x": "float", "y": "float?", "n": "int", "s": "string?", "b": "bool?", "time": "time"}
AT = datetime(2013, 6, 25, 13, 45, tzinfo=UTC)
COLUMNS = {
    "x": np.array([1.0, 2.0, np.nan]),
    "y": np.array([0.0, np.nan, 3.0]),
    "n": np.array([1, 2, 3]),
    "s": np.array(["a", None, "b"], dtype=object),
    "b": np.array([1.0, np.nan, 0.0]),
    "time": np.full(3, int(AT.timestamp() * 1e6), dtype=np.int64),
}
NAN = float("nan")

VALUES = [
    ("x + n * 2", [3.0, 6.0, NAN]),
    ("-x // 1 % 2", [1.0, 0.0, NAN]),
    ("x / y", [NAN, NAN, NAN]),
    ("log1p(x - 2)", [NAN, 0.0, NAN]),
    ("exp(x * 1000)", [NAN, NAN, NAN]),
    ("hour(time)", [13.0, 13.0, 13.0]),
    ("minute_of_day(time)", [825.0, 825.0, 825.0]),
    ("weekday(time)", [1.0, 1.0, 1.0]),
    ("min(x, 1.5) + max(n, 2) + abs(-1)", [4.0, 4.5, NAN]),
    ("clip(n, 2, 2.5)", [2.0, 2.0, 2.5]),
    ("coalesce(y, -1)", [0.0, -1.0, 3.0]),
    ("x if n > 1 else y", [0.0, 2.0, NAN]),
    ("x > 1", [False, True, False]),
    ("x != 1", [False, True, False]),
    ("y == 3", [False, False, True]),
    ("1 < n <= 2", [False, True, False]),
    ("s == 'a'", [True, False, False]),
    ("s != 'a'", [False, False, True]),
    ("s in ['a', 'c']", [True, False, False]),
    ("s not in ('a', 'c')", [False, False, True]),
    ("is_missing(s) or is_missing(y)", [False, True, False]),
    ("coalesce(s, 'z') == 'z'", [False, True, False]),
    ("not b and n > 1", [False, True, True]),
    ("b", [True, False, False]),
    ("2", [2.0, 2.0, 2.0]),
]


@pytest.mark.parametrize(("text", "wanted"), VALUES, ids=[text for text, _ in VALUES])
def test_an_expression_gives_a_value_a_row(text: str, wanted: list[float]) -> None:
    found = expression.compile(text, TYPES).evaluate(COLUMNS)
    np.testing.assert_array_equal(found, np.array(wanted))


REFUSED = [
    "x.real",
    "x[0]",
    "lambda: 1",
    "[x for x in y]",
    "__import__('os')",
    "open('x')",
    "x := 1",
    "x ** 9",
    "x @ y",
    "zzz",
    "s + 1",
    "s < 'b'",
    "x and y",
    "hour()",
    "min(x)",
    "x is None",
    "f'{x}'",
    "b'x'",
    "None",
    "s in n",
    "x in [n]",
    "1 if x else 2",
    "x if b else s",
    "hour(t=time)",
    "1" * 400 + ".",
    "(" * 300 + "x" + ")" * 300,
    "",
    "is_missing(x, y)",
    "~n",
    "x +",
    "1j",
    "'a' * 9",
    "x" * 2_000,
]


@pytest.mark.parametrize("text", REFUSED)
def test_all_else_is_refused_by_a_sentence(text: str) -> None:
    with pytest.raises(WrongExpression, match=r"\w"):
        expression.compile(text, TYPES)


def test_rows_without_a_value_that_is_needed_are_known() -> None:
    compiled = expression.compile("x > 0 and coalesce(y, 0) > 1", TYPES)
    assert compiled.needed == {"x"}
    assert compiled.names == {"x", "y"}
    assert compiled.known(COLUMNS).tolist() == [True, True, False]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.integers(1, 7))
def test_a_value_does_not_depend_on_the_batch(values: list[float], size: int) -> None:
    compiled = expression.compile("log1p(abs(x)) * exp(clip(x, -5, 5)) + x / 7", {"x": "float"})
    column = np.array(values)
    whole = compiled.evaluate({"x": column})
    parts = [
        compiled.evaluate({"x": column[start : start + size]})
        for start in range(0, len(column), size)
    ]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_integers_mean_the_same_whether_or_not_their_batch_holds_a_null() -> None:
    whole = expression.compile("n * n", TYPES)
    alone = whole.evaluate({"n": np.array([4_000_000_000], np.int64)})
    beside_a_null = whole.evaluate({"n": np.array([4_000_000_000, NAN])})
    assert alone[0] == beside_a_null[0] == 1.6e19
