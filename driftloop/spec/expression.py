"""Expressions of a pipeline file: parsed by `ast` against a whitelist, evaluated over columns;
never executed as code.

A column is a numpy array, one value a row: numbers as float64 or int64 (NaN: missing), truth values
as bool, strings as object arrays (None: missing). A comparison with something missing is false,
`!=` included. A number that is not finite (0/0, log1p(-2), exp(1000)) is missing. Functions:
hour(t), minute_of_day(t), weekday(t) (Monday is 0; t in microseconds of UTC), log1p, exp, abs, min,
max, clip(x, low, high), is_missing(x), coalesce(x, y).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Columns = Mapping[str, Array]
Kind = Literal["number", "truth", "string"]
Step = Callable[[Columns], Array]

CHARACTERS_MAX = 1_000  # an expression is one line of a file
HOUR_US, DAY_US, MINUTE_US = 3_600_000_000, 86_400_000_000, 60_000_000
KINDS: Mapping[str, Kind] = {
    "string": "string",
    "bool": "truth",
}  # of field types; all others are numbers


class WrongExpression(ValueError):
    """The text is no expression of ours; the message says which part, and what would do. `name` if
    it is unknown.
    """

    def __init__(self, message: str, name: str = "") -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression. `names` are those it reads; `needed` those that must be there for it
    to mean anything.
    """

    text: str
    kind: Kind
    names: frozenset[str]
    needed: frozenset[str]
    _step: Step

    def evaluate(self, columns: Columns) -> Array:
        """One value a row: float64 numbers (NaN: missing), bool truths, strings as objects."""
        rows = len(next(iter(columns.values()))) if columns else 0
        with np.errstate(all="ignore"):
            result = self._step(columns)
        if self.kind == "number":
            result = np.asarray(result, dtype=np.float64)
            result = np.where(np.isfinite(result), result, np.nan)
        elif self.kind == "truth":
            result = _truth(result)
        return result if result.shape == (rows,) else np.broadcast_to(result, (rows,)).copy()

    def known(self, columns: Columns) -> NDArray[np.bool_]:
        """True for rows in which nothing that is `needed` is missing."""
        rows = len(next(iter(columns.values()))) if columns else 0
        present = np.ones(rows, dtype=np.bool_)
        for name in self.needed:
            present &= ~_missing(columns[name])
        return present


def compile(text: str, names: Mapping[str, str]) -> Expression:  # noqa: A001  # the trade's word
    """The expression of `text` over `names` (name -> field type). Raises WrongExpression, which
    says what is wrong.
    """
    if len(text) > CHARACTERS_MAX:
        raise WrongExpression(f"{len(text)} characters, more than {CHARACTERS_MAX}")
    compiler = _Compiler(names)
    try:
        body = ast.parse(text.strip(), mode="eval").body
        kind, step = compiler.visit(body)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        if isinstance(error, WrongExpression):
            raise
        raise WrongExpression(f"it does not parse ({error})") from error
    return Expression(text, kind, frozenset(compiler.names), frozenset(compiler.needed), step)


def names_of(text: str) -> frozenset[str]:
    """The names that `text` reads. Raises WrongExpression if it does not parse."""
    try:
        tree = ast.parse(text.strip()[:CHARACTERS_MAX], mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise WrongExpression(f"it does not parse ({error})") from error
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name)) - FUNCTIONS


def _missing(column: Array) -> NDArray[np.bool_]:
    if column.dtype == object:
        return cast("NDArray[np.bool_]", np.equal(column, cast(Any, None)).astype(np.bool_))
    if column.dtype.kind == "f":
        return np.isnan(cast("NDArray[np.float64]", column))
    return np.zeros(column.shape, dtype=np.bool_)


def _floats(column: Array) -> Array:
    """Integers as float64, always: Arrow gives them as such only where a batch holds a null, and
    int64 would overflow where float64 does not."""
    return column.astype(np.float64) if column.dtype.kind in "iu" else column


def _truth(column: Array) -> NDArray[np.bool_]:
    """Truth values as bool; a missing one (NaN, None) is false."""
    if column.dtype == np.bool_:
        return cast("NDArray[np.bool_]", column)
    if column.dtype == object:
        return np.equal(column, True).astype(np.bool_)
    return np.equal(column, 1)


_FUNCTIONS: Mapping[
    str, tuple[int, int, Callable[..., Array]]
] = {  # name -> arguments at least, at most, what it does
    "hour": (1, 1, lambda t: np.floor_divide(t, HOUR_US) % 24),
    "minute_of_day": (1, 1, lambda t: np.floor_divide(t, MINUTE_US) % 1440),
    "weekday": (1, 1, lambda t: (np.floor_divide(t, DAY_US) + 3) % 7),  # 1970-01-01 was a Thursday
    "log1p": (1, 1, np.log1p),
    "exp": (1, 1, np.exp),
    "abs": (1, 1, np.abs),
    "min": (2, 2, np.minimum),
    "max": (2, 2, np.maximum),
    "clip": (3, 3, lambda x, low, high: np.minimum(np.maximum(x, low), high)),
}
FUNCTIONS = frozenset(_FUNCTIONS) | {"is_missing", "coalesce"}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Array, Array], Array]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.remainder,
}
_ORDER: Mapping[type[ast.cmpop], Callable[[Array, Array], Array]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}


class _Compiler:
    """Walks the tree once; each node becomes a closure over columns."""

    def __init__(self, types: Mapping[str, str]) -> None:
        self._types = types
        self._lenient = 0  # inside is_missing or coalesce, where a missing value is welcome
        self.names: set[str] = set()
        self.needed: set[str] = set()

    def visit(self, node: ast.expr) -> tuple[Kind, Step]:
        match node:
            case ast.Constant():
                return self._constant(node.value)
            case ast.Name():
                return self._name(node.id)
            case ast.UnaryOp():
                return self._unary(node)
            case ast.BinOp():
                return self._binary(node)
            case ast.BoolOp():
                return self._logic(node)
            case ast.Compare():
                return self._compare(node)
            case ast.IfExp():
                return self._choice(node)
            case ast.Call():
                return self._call(node)
        raise WrongExpression(
            f"{ast.unparse(node)!r} is not allowed: only arithmetic, comparisons, and/or/not, "
            f"if-else and {', '.join(sorted(FUNCTIONS))}"
        )

    def _constant(self, value: object) -> tuple[Kind, Step]:
        if isinstance(value, bool):
            truth = np.asarray(value)
            return "truth", lambda columns: truth
        if isinstance(value, int | float):
            number = np.asarray(float(value))
            if not np.isfinite(number):
                raise WrongExpression("a number beyond a float64")
            return "number", lambda columns: number
        if isinstance(value, str):
            string = np.asarray(value, dtype=object)
            return "string", lambda columns: string
        raise WrongExpression(f"{value!r} is no number, string or truth value")

    def _name(self, name: str) -> tuple[Kind, Step]:
        if name not in self._types:
            raise WrongExpression(f"{name!r} is unknown", name)
        self.names.add(name)
        if not self._lenient:
            self.needed.add(name)
        kind = KINDS.get(self._types[name].rstrip("?"), "number")
        if kind == "number":
            return kind, lambda columns: _floats(columns[name])
        return kind, lambda columns: columns[name]

    def _typed(self, node: ast.expr, wanted: Kind) -> Step:
        kind, step = self.visit(node)
        if kind != wanted:
            raise WrongExpression(f"{ast.unparse(node)!r} is a {kind}, not a {wanted}")
        if wanted == "truth":
            return lambda columns: _truth(step(columns))
        return step

    def _unary(self, node: ast.UnaryOp) -> tuple[Kind, Step]:
        if isinstance(node.op, ast.Not):
            truth = self._typed(node.operand, "truth")
            return "truth", lambda columns: np.logical_not(truth(columns))
        number = self._typed(node.operand, "number")
        if isinstance(node.op, ast.USub):
            return "number", lambda columns: np.negative(
                cast("NDArray[np.float64]", number(columns))
            )
        if isinstance(node.op, ast.UAdd):
            return "number", number
        raise WrongExpression(f"{ast.unparse(node)!r} is not allowed")

    def _binary(self, node: ast.BinOp) -> tuple[Kind, Step]:
        operator = _ARITHMETIC.get(type(node.op))
        if operator is None:
            raise WrongExpression(f"{ast.unparse(node)!r}: only + - * / // % are allowed")
        left, right = self._typed(node.left, "number"), self._typed(node.right, "number")
        return "number", lambda columns: operator(left(columns), right(columns))

    def _logic(self, node: ast.BoolOp) -> tuple[Kind, Step]:
        steps = [self._typed(value, "truth") for value in node.values]
        operator = np.logical_and if isinstance(node.op, ast.And) else np.logical_or

        def run(columns: Columns) -> Array:
            result = steps[0](columns)
            for step in steps[1:]:
                result = operator(result, step(columns))
            return result

        return "truth", run

    def _compare(self, node: ast.Compare) -> tuple[Kind, Step]:
        sides = [node.left, *node.comparators]
        steps = [
            self._pair(a, operator, b)
            for a, operator, b in zip(sides, node.ops, sides[1:], strict=False)
        ]

        def run(columns: Columns) -> Array:
            result = steps[0](columns)
            for step in steps[1:]:
                result = np.logical_and(result, step(columns))
            return result

        return "truth", run

    def _pair(self, a: ast.expr, operator: ast.cmpop, b: ast.expr) -> Step:
        if isinstance(operator, ast.In | ast.NotIn):
            return self._member(a, operator, b)
        kind, left = self.visit(a)
        right = self._typed(b, kind)
        if isinstance(operator, ast.Eq):
            return lambda columns: _equal(left(columns), right(columns))
        if isinstance(operator, ast.NotEq):
            return lambda columns: _differ(left(columns), right(columns))
        order = _ORDER.get(type(operator))
        if order is None or kind != "number":
            raise WrongExpression(
                f"{ast.unparse(a)!r} is a {kind}: compare it by == and != (strings also by in)"
            )
        return lambda columns: order(left(columns), right(columns))

    def _member(self, a: ast.expr, operator: ast.cmpop, b: ast.expr) -> Step:
        kind, left = self.visit(a)
        if not isinstance(b, ast.List | ast.Tuple | ast.Set) or not b.elts:
            raise WrongExpression(
                f"{ast.unparse(b)!r} is no list of constants, as in x in ['a', 'b']"
            )
        sides = [
            self._typed(element, kind) for element in b.elts if isinstance(element, ast.Constant)
        ]
        if len(sides) != len(b.elts):
            raise WrongExpression(f"{ast.unparse(b)!r} holds more than constants")

        def run(columns: Columns) -> Array:
            column = left(columns)
            inside: Array = np.logical_or.reduce([_equal(column, side(columns)) for side in sides])
            if isinstance(operator, ast.In):
                return inside
            return np.logical_not(inside) & ~_missing(column)

        return run

    def _choice(self, node: ast.IfExp) -> tuple[Kind, Step]:
        test = self._typed(node.test, "truth")
        kind, then = self.visit(node.body)
        other = self._typed(node.orelse, kind)
        return kind, lambda columns: np.where(test(columns), then(columns), other(columns))

    def _call(self, node: ast.Call) -> tuple[Kind, Step]:
        name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
        if name not in FUNCTIONS or node.keywords:
            raise WrongExpression(
                f"{ast.unparse(node)!r}: the functions are {', '.join(sorted(FUNCTIONS))}"
            )
        if name in ("is_missing", "coalesce"):
            return self._about_missing(name, node.args)
        least, most, function = _FUNCTIONS[name]
        if not least <= len(node.args) <= most:
            raise WrongExpression(f"{name} takes {least} values, not {len(node.args)}")
        steps = [self._typed(argument, "number") for argument in node.args]
        return "number", lambda columns: function(*(step(columns) for step in steps))

    def _about_missing(self, name: str, arguments: Sequence[ast.expr]) -> tuple[Kind, Step]:
        if len(arguments) != (1 if name == "is_missing" else 2):
            raise WrongExpression(
                f"{name} takes {1 if name == 'is_missing' else 2} values, not {len(arguments)}"
            )
        self._lenient += 1
        kind, step = self.visit(arguments[0])
        self._lenient -= 1
        if name == "is_missing":
            return "truth", lambda columns: _missing(step(columns))
        other = self._typed(arguments[1], kind)

        def run(columns: Columns) -> Array:
            column = step(columns)
            return np.where(_missing(column), other(columns), column)

        return kind, run


def _equal(left: Array, right: Array) -> Array:
    return np.equal(left, right).astype(np.bool_)


def _differ(left: Array, right: Array) -> Array:
    return np.not_equal(left, right).astype(np.bool_) & ~_missing(left) & ~_missing(right)
