"""The meaning of `--where`: a tree of comparisons to an SQL condition on `run`.

Fields are the columns of `run` (with the effective status), `tag`, `final` (the final return), `age` (since the run was
made) and every hyperparameter. What a run does not have is null, and two values are always either equal or not:
`beta != 0.5` also holds for a run without beta, `not (beta < 0.5)` too. Infinity is beyond every number. NaN is not
null: it equals the word `nan`, and no order holds for it. All values travel as bound parameters.
"""

from __future__ import annotations

import contextlib
import json
import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Float,
    String,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    type_coerce,
)

from dapo_cli.errors import BadInput, did_you_mean
from dapo_cli.filters import times
from dapo_cli.filters.grammar import RANGES, AllOf, AnyOf, Comparison, Literal, Node, Not, parse
from store.connection.folding import contains
from store.records.liveness import dead_runs, status_expression
from store.records.summaries import final_is_nan, final_return
from store.schema import added
from store.schema.models import Hyperparameter, Run, Tag

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from store.session import Database

Condition = ColumnElement[bool]

FINAL, AGE = "final", "age"
_TIMES = {name for name in Run.__table__.columns.keys() if name.endswith("_at")}  # noqa: SIM118 (no dict)


class UnknownField(BadInput):
    """A filter names a `field` that no run on record has; `remedy`: what may have been meant."""

    def __init__(self, message: str, field: str, remedy: str) -> None:
        super().__init__(f"{message}: {remedy}")
        self.field, self.remedy = field, remedy


def condition(database: Database, text: str) -> Condition:
    """The filter `text` as a condition on `run`; raises BadInput, which says what is wrong and not in which option."""
    tree = parse(text)
    with database.connect() as session:
        return _Translator(session, status_expression(dead_runs(database))).translate(tree)


def hyperparameter_number() -> ColumnElement[float]:
    """The value of a row of `hyperparameter` as a number, NULL where it is none or NaN ("Infinity" is 0 to SQLite)."""
    value = Hyperparameter.value
    return case(
        (Hyperparameter.type.not_in(("int", "float")), null()),
        (value == "NaN", null()),
        (value == "Infinity", literal(math.inf)),
        (value == "-Infinity", literal(-math.inf)),
        else_=cast(value, Float),
    )


def known_fields(session: Session) -> list[str]:
    """Every name that a filter or a key may use: run columns, tag, final, age, the hyperparameters on record."""
    names = session.scalars(select(Hyperparameter.name).distinct()).all()
    return sorted({*Run.__table__.columns.keys(), "tag", FINAL, AGE, *names})


class _Translator:
    """Every condition it makes is true or false, never NULL, so that `not` is the complement."""

    def __init__(self, session: Session, status: ColumnElement[str]) -> None:
        self.session = session
        self.columns: dict[str, ColumnElement[Any]] = {
            **dict(Run.__table__.columns.items()),
            "status": status,
            FINAL: final_return(),
        }

    def translate(self, node: Node) -> Condition:
        match node:
            case AllOf(nodes):
                return and_(*map(self.translate, nodes))
            case AnyOf(nodes):
                return or_(*map(self.translate, nodes))
            case Not(inner):
                return not_(self.translate(inner))
        if node.operator in ("!=", "!~"):
            return not_(self.translate(node._replace(operator="=" if node.operator == "!=" else "~")))
        if node.operator != "=" and node.literals[0].null:
            raise BadInput(f"{node.field} {node.operator} null: null is only compared by = and !=")
        if node.field == "tag":
            return self._tag(node)
        if node.field == AGE:
            return _age(node)
        if node.field in _TIMES and node.operator != "~":
            return _time(node, self.columns[node.field])
        if node.field in self.columns:
            return self._column(node, self.columns[node.field])
        return self._hyperparameter(node)

    def _column(self, node: Comparison, column: ColumnElement[Any]) -> Condition:
        is_text = isinstance(column.type, String)
        nan = not is_text and any(literal.nan for literal in node.literals)
        used = [literal for literal in node.literals if not literal.null and (is_text or not literal.nan)]
        values = [_for_column(node, literal, column) for literal in used]
        if not is_text and not isinstance(column.type, Boolean):
            column = type_coerce(column, Float)  # servers would round a literal to the type of an integer column
        if node.operator == "=":
            conditions: list[Condition] = [func.coalesce(column.in_(values), false())]
            is_nan = final_is_nan() if node.field == FINAL else false()
            conditions += [is_nan] if nan else []
            conditions += [and_(column.is_(None), not_(is_nan))] if any(one.null for one in node.literals) else []
            return or_(*conditions)
        if isinstance(column.type, Boolean):
            raise BadInput(f"{node.field} is true or false: compare it by = or !=")
        if node.operator == "~":
            if not is_text:
                raise BadInput(f"{node.field} is a number, '~' searches text: compare it by = or <")
            return func.coalesce(contains(column, node.literals[0].text), false())
        return func.coalesce(_RANGES[node.operator](column, values[0]), false())

    def _tag(self, node: Comparison) -> Condition:
        texts = [literal.text for literal in node.literals if not literal.null]
        if node.operator == "=":
            tagged = _exists(Tag, Tag.tag.in_(texts))
            return or_(tagged, not_(_exists(Tag))) if len(texts) < len(node.literals) else tagged
        if node.operator == "~":
            return _exists(Tag, contains(Tag.tag.expression, texts[0]))
        raise BadInput(f"a tag has no order: compare it by =, !=, ~, !~ or in, not by {node.operator}")

    def _hyperparameter(self, node: Comparison) -> Condition:
        named = Hyperparameter.name == node.field
        earlier = [entry for entry in added.ADDED if entry.name == node.field]
        if not earlier and self.session.scalar(select(Hyperparameter.run_id).where(named).limit(1)) is None:
            self._unknown(node)
        holds = or_(_exists(Hyperparameter, named, _matches(node)), *(_earlier(entry, node) for entry in earlier))
        if any(literal.null for literal in node.literals):
            had = or_(false(), *(made_before(entry) for entry in earlier if entry.before is not None))
            return or_(holds, not_(or_(_exists(Hyperparameter, named, Hyperparameter.type != "null"), had)))
        return holds

    def _unknown(self, node: Comparison) -> NoReturn:
        remedy = did_you_mean(node.field, known_fields(self.session))
        message = f"no run has a field '{node.field}' (character {node.position})"
        raise UnknownField(message, node.field, remedy)


_RANGES: dict[str, Callable[[Any, Any], Condition]] = dict(
    zip(RANGES, (operator.lt, operator.le, operator.gt, operator.ge), strict=True)
)


def _age(node: Comparison) -> Condition:
    span = times.age(node.literals[0].text)
    if node.operator not in RANGES:
        raise BadInput(f"an age changes all the time: compare it by < or >, not by {node.operator}")
    if span is None:
        raise BadInput(f"age {node.operator} '{node.literals[0].text}': {times.AGES}")
    # the older, the earlier it was made
    return _RANGES[node.operator](literal(times.before(span)), Run.created_at)


def _time(node: Comparison, column: ColumnElement[Any]) -> Condition:
    conditions: list[Condition] = []
    for literal_ in node.literals:
        if literal_.null:
            conditions.append(column.is_(None))
            continue
        found = times.interval(literal_.text)
        if found is None:
            raise BadInput(f"{node.field} {node.operator} '{literal_.text}': {times.TIMES}")
        bounds = {"<": column < found.begin, "<=": column < found.end, ">": column >= found.end}
        bounds |= {">=": column >= found.begin, "=": and_(column >= found.begin, column < found.end)}
        conditions.append(func.coalesce(bounds[node.operator], false()))
    return or_(*conditions)


def _matches(node: Comparison) -> Condition:
    """That the value of a row of `hyperparameter` is as a comparison says."""
    literals = [literal for literal in node.literals if not literal.null]
    if node.operator == "=":
        numbers = [literal.number for literal in literals if literal.number is not None]
        is_text = Hyperparameter.type.not_in(("int", "float"))
        texts = Hyperparameter.value.in_([_canonical(literal.text) for literal in literals])
        is_it = or_(hyperparameter_number().in_(numbers), and_(is_text, texts))
        if any(literal.nan for literal in literals):
            is_it = or_(is_it, and_(not_(is_text), Hyperparameter.value == "NaN"))
        return is_it
    if node.operator == "~":
        return contains(Hyperparameter.value.expression, literals[0].text)
    return _RANGES[node.operator](hyperparameter_number(), _bound(node))


def _bound(node: Comparison) -> float:
    """The number that a comparison of size has on its right."""
    number = node.literals[0].number
    if number is None:
        raise BadInput(f"{node.field} {node.operator} '{node.literals[0].text}': a number must stand there")
    return number


def _earlier(entry: added.Added, node: Comparison) -> Condition:
    """That a run was made before a setting, and with a value as the comparison says."""
    if isinstance(entry.before, added.As):
        same = Hyperparameter.name == entry.before.name
        return and_(made_before(entry), _exists(Hyperparameter, same, _matches(node)))
    value, literals = entry.before, [literal for literal in node.literals if not literal.null]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    text = value if isinstance(value, str) else json.dumps(value)
    if node.operator == "=":
        equal = any(one.number == value if number else _canonical(one.text) == text for one in literals)
    elif node.operator == "~":
        equal = literals[0].text.casefold() in text.casefold()
    else:
        equal = bool(_RANGES[node.operator](value, _bound(node))) if number else False
    return made_before(entry) if equal else false()


def made_before(entry: added.Added) -> Condition:
    """That a run lacks the setting because it was made before it."""
    beside = _exists(Hyperparameter, Hyperparameter.name == entry.beside)
    lacks = not_(_exists(Hyperparameter, Hyperparameter.name == entry.name))
    return and_(beside, lacks, Run.algo.in_(entry.algos)) if entry.algos else and_(beside, lacks)


def _exists(table: type[Hyperparameter | Tag], *conditions: Condition) -> Condition:
    return select(table.run_id).where(table.run_id == Run.id, *conditions).correlate(Run).exists()


def _for_column(node: Comparison, literal: Literal, column: ColumnElement[Any]) -> str | float | bool:
    """The literal as the type of the column wants it."""
    if isinstance(column.type, String):
        return literal.text
    if isinstance(column.type, Boolean):
        if literal.value not in (0, 1):
            raise BadInput(f"{node.field} is true or false, not '{literal.text}'")
        return bool(literal.value)
    if literal.number is None:
        raise BadInput(f"{node.field} is a number, not '{literal.text}'")
    return literal.number


def _canonical(text: str) -> str:
    """A list as the store writes it, however its blanks were typed; other text as it is."""
    if text.startswith("["):
        with contextlib.suppress(ValueError):
            return json.dumps(json.loads(text))
    return text
