"""The grammar of --where."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dapo_cli.errors import BadInput
from dapo_cli.filters.grammar import (
    MAX_COMPARISONS,
    MAX_DEPTH,
    AllOf,
    AnyOf,
    Comparison,
    Literal,
    Not,
    parse,
)


def is_(field: str, operator: str = "=", text: str = "1", position: int = 1) -> Comparison:
    return Comparison(field, operator, (Literal(text, value=int(text)),), position)


def test_precedence_is_not_then_and_then_or():
    assert parse("a=1 or not b=1 and c=1") == AnyOf(
        (is_("a"), AllOf((Not(is_("b", position=12)), is_("c", position=20))))
    )
    assert parse("(a=1 or b=1) and c=1") == AllOf(
        (AnyOf((is_("a", position=2), is_("b", position=9))), is_("c", position=18))
    )
    assert parse("not (not a=1)") == Not(Not(is_("a", position=10)))
    assert parse("A=1 OR b=1 AND NOT c=1") == AnyOf(
        (is_("A"), AllOf((is_("b", position=8), Not(is_("c", position=20)))))
    )


@pytest.mark.parametrize("operator", ["=", "!=", "<", "<=", ">", ">=", "~", "!~"])
@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_operators(operator, blank):
    assert parse(f"beta{blank}{operator}{blank}1") == is_("beta", operator)


def test_in():
    both = (Literal("sac"), Literal("dapo-kl"))
    assert parse("algo in (sac, 'dapo-kl')") == Comparison("algo", "=", both, 1)
    assert parse("algo not in (sac,dapo-kl)") == Comparison("algo", "!=", both, 1)
    assert parse("algo == sac") == Comparison("algo", "=", both[:1], 1)


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("3", Literal("3", 3)),
        ("-3", Literal("-3", -3)),
        ("1e6", Literal("1e6", 1_000_000)),
        ("3e-4", Literal("3e-4", 3e-4)),
        (".5", Literal(".5", 0.5)),
        ("9223372036854775807", Literal("9223372036854775807", 2**63 - 1)),
        ("9223372036854775808", Literal("9223372036854775808", 2.0**63)),
        ("9" * 5000, Literal("9" * 5000, float("inf"))),
        ("1e999", Literal("1e999", float("inf"))),
        ("true", Literal("true", True)),
        ("False", Literal("false", False)),
        ("NULL", Literal("null", None, null=True)),
        ("'null'", Literal("null")),
        ("'3'", Literal("3")),
        ("HalfCheetah-v4", Literal("HalfCheetah-v4")),
        ("2026-11-20", Literal("2026-11-20")),
        ("'it''s'", Literal("it's")),
        ('"it\'s"', Literal("it's")),
        ("''", Literal("")),
        ("β", Literal("β")),
    ],
)
def test_literals(text, literal):
    assert parse(f"x = {text}") == Comparison("x", "=", (literal,), 1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected the name of a field, such as algo or beta at the end"),
        ("beta", "expected one of = != < <= > >= ~ !~ or 'in' at the end"),
        ("beta <", "expected a value: a number, a word, 'text', true, false or null at the end"),
        ("beta < and", "expected a value: a number, a word, 'text', true, false or null at character 8, 'and'"),
        ("beta < 1 2", "expected 'and', 'or' or the end at character 10, '2'"),
        ("(beta < 1", "expected ')' at the end"),
        ("beta < 1)", "expected 'and', 'or' or the end at character 9, ')'"),
        ("algo = 'sac", "this quote is never closed at character 8, ''sac'"),
        ("algo = sac!", "unexpected character at character 11, '!'"),
        ("algo in sac", "expected '(' at character 9, 'sac'"),
        ("algo in ()", "expected a value: a number, a word, 'text', true, false or null at character 10, ')'"),
        ("algo in (a b)", "expected ')' at character 12, 'b)'"),
        ("algo not = a", "expected 'in' at character 10, '= a'"),
        ("3 < beta", "expected the name of a field, such as algo or beta at character 1, '3 < beta'"),
        ("'algo' = a", "expected the name of a field, such as algo or beta at character 1, ''algo' = a'"),
        ("and", "expected the name of a field, such as algo or beta at character 1, 'and'"),
        ("x = \udcff", "the filter is not valid UTF-8 text"),
    ],
)
def test_malformed_filters_say_where(text, problem):
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert str(caught.value) == problem


@pytest.mark.parametrize("opening", ["(", "not "])
def test_nesting_has_a_limit(opening):
    closing = ")" if opening == "(" else ""
    parse(opening * MAX_DEPTH + "a=1" + closing * MAX_DEPTH)
    with pytest.raises(BadInput, match="nested deeper than"):
        parse(opening * 100_000 + "a=1")


def test_length_has_a_limit():
    parse(" or ".join(["a=1"] * MAX_COMPARISONS))
    with pytest.raises(BadInput, match="comparisons"):
        parse(" or ".join(["a=1"] * (MAX_COMPARISONS + 1)))
    with pytest.raises(BadInput, match="values"):
        parse(f"a in ({'1,' * 20_000}1)")


@given(st.text(alphabet="ab1 ()=!<>~,'\"\\\n\0notandrIβ🙂."))
def test_any_text_is_parsed_or_refused(text):
    with contextlib.suppress(BadInput):
        parse(text)


@given(st.text())
def test_any_quoted_text_arrives_unchanged(text):
    quoted = "'" + text.replace("'", "''") + "'"
    assert parse(f"x = {quoted}") == Comparison("x", "=", (Literal(text),), 1)
