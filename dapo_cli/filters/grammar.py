"""The grammar of `--where`: text to a tree of comparisons. Knows no database: `sql` gives the tree its meaning.

expression := conjunction ("or" conjunction)*
conjunction := negation ("and" negation)*
negation := "not" negation | "(" expression ")" | comparison
comparison := field operator literal | field ["not"] "in" "(" literal ("," literal)* ")"
operator := "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~"
literal := number | 'text' | "text" | true | false | null | nan | inf | -inf | word
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple, NoReturn

from dapo_cli.errors import BadInput

MAX_DEPTH = 50  # of parentheses and negations
MAX_COMPARISONS = 200  # SQLite allows expression trees of depth 1000
MAX_LITERALS = 10_000  # SQLite allows 32 766 bound parameters

KEYWORDS = ("and", "or", "not", "in")
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "~", "!~")
RANGES = ("<", "<=", ">", ">=")

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*")
      | (?P<symbol>!=|<=|>=|!~|==|[=<>~(),])
      | (?P<word>[^\s'"(),=<>~!]+)
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_NOT_FINITE = re.compile(r"nan|[+-]?inf", re.IGNORECASE)


class Literal(NamedTuple):
    """A value in a filter: its text, and what it is beyond text (None for plain text)."""

    text: str
    value: float | bool | None = None
    null: bool = False

    @property
    def number(self) -> float | None:
        """The value where it is a number, but NaN: integers as int, so that they compare exactly."""
        return None if isinstance(self.value, bool) or self.nan else self.value

    @property
    def nan(self) -> bool:
        """Whether it is NaN, which is in no order and equals, here, itself."""
        return isinstance(self.value, float) and math.isnan(self.value)


class Comparison(NamedTuple):
    """`field operator literals`; several literals (of `in`) only with "=" and "!="."""

    field: str
    operator: str
    literals: tuple[Literal, ...]
    position: int  # of the field, counted from 1


class Not(NamedTuple):
    """The negation of a node."""

    node: Node


class AllOf(NamedTuple):
    """True where all nodes are."""

    nodes: tuple[Node, ...]


class AnyOf(NamedTuple):
    """True where one of the nodes is."""

    nodes: tuple[Node, ...]


Node = Comparison | Not | AllOf | AnyOf


class _Token(NamedTuple):
    kind: str  # quoted, symbol, word or end
    text: str
    position: int


def parse(text: str) -> Node:
    """The tree of a filter; raises BadInput with the position of the first thing that makes no sense."""
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = self._tokenize()
        self.next = 0
        self.comparisons = 0
        self.literals = 0

    def parse(self) -> Node:
        node = self._expression(0)
        if self._peek.kind != "end":
            self._fail("expected 'and', 'or' or the end")
        return node

    def _tokenize(self) -> list[_Token]:
        if any("\ud800" <= character <= "\udfff" for character in self.text):
            raise BadInput("the filter is not valid UTF-8 text")
        tokens: list[_Token] = []
        position = 0
        while not tokens or tokens[-1].kind != "end":
            match = _TOKEN.match(self.text, position)
            if match is None or match.lastgroup is None:
                start = position + len(self.text[position:]) - len(self.text[position:].lstrip())
                unclosed = self.text[start] in "'\""
                self._fail("this quote is never closed" if unclosed else "unexpected character", start)
            tokens.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
            position = match.end()
        return tokens

    def _expression(self, depth: int) -> Node:
        nodes = [self._conjunction(depth)]
        while self._take_keyword("or"):
            nodes.append(self._conjunction(depth))
        return nodes[0] if len(nodes) == 1 else AnyOf(tuple(nodes))

    def _conjunction(self, depth: int) -> Node:
        nodes = [self._negation(depth)]
        while self._take_keyword("and"):
            nodes.append(self._negation(depth))
        return nodes[0] if len(nodes) == 1 else AllOf(tuple(nodes))

    def _negation(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self._fail(f"nested deeper than {MAX_DEPTH} levels")
        if self._take_keyword("not"):
            return Not(self._negation(depth + 1))
        if self._take_symbol("("):
            node = self._expression(depth + 1)
            self._expect_symbol(")")
            return node
        return self._comparison()

    def _comparison(self) -> Comparison:
        self.comparisons += 1
        if self.comparisons > MAX_COMPARISONS:
            self._fail(f"more than {MAX_COMPARISONS} comparisons")
        field = self._peek
        if field.kind != "word" or self._is_keyword(field) or _NUMBER.fullmatch(field.text):
            self._fail("expected the name of a field, such as algo or beta")
        self.next += 1
        position = field.position + 1
        negated = self._take_keyword("not")
        if self._take_keyword("in"):
            return Comparison(field.text, "!=" if negated else "=", self._list(), position)
        operator = self._peek
        if negated or operator.kind != "symbol" or operator.text in "(),":
            self._fail("expected 'in'" if negated else f"expected one of {' '.join(OPERATORS)} or 'in'")
        self.next += 1
        literal = self._literal()
        if operator.text in RANGES and (literal.null or literal.nan):
            word = literal.text.lower()
            raise BadInput(f"{field.text} {operator.text} {word}: {word} is only compared by = and !=")
        return Comparison(field.text, "=" if operator.text == "==" else operator.text, (literal,), position)

    def _list(self) -> tuple[Literal, ...]:
        self._expect_symbol("(")
        literals = [self._literal()]
        while self._take_symbol(","):
            literals.append(self._literal())
        self._expect_symbol(")")
        return tuple(literals)

    def _literal(self) -> Literal:
        self.literals += 1
        if self.literals > MAX_LITERALS:
            self._fail(f"more than {MAX_LITERALS} values")
        token = self._peek
        if token.kind not in ("quoted", "word") or self._is_keyword(token):
            self._fail("expected a value: a number, a word, 'text', true, false or null")
        self.next += 1
        if token.kind == "quoted":
            quote = token.text[0]
            return Literal(token.text[1:-1].replace(quote * 2, quote))
        folded = token.text.lower()
        if folded in ("true", "false"):
            return Literal(folded, value=folded == "true")
        if folded == "null":
            return Literal("null", null=True)
        return Literal(token.text, value=_number(token.text))

    @property
    def _peek(self) -> _Token:
        return self.tokens[self.next]

    def _is_keyword(self, token: _Token) -> bool:
        return token.kind == "word" and token.text.lower() in KEYWORDS

    def _take_keyword(self, keyword: str) -> bool:
        taken = self._peek.kind == "word" and self._peek.text.lower() == keyword
        self.next += taken
        return taken

    def _take_symbol(self, symbol: str) -> bool:
        taken = self._peek.kind == "symbol" and self._peek.text == symbol
        self.next += taken
        return taken

    def _expect_symbol(self, symbol: str) -> None:
        if not self._take_symbol(symbol):
            self._fail(f"expected '{symbol}'")

    def _fail(self, problem: str, position: int | None = None) -> NoReturn:
        at = self._peek.position if position is None else position
        rest = self.text[at : at + 20]
        found = f"at character {at + 1}, '{rest}'" if rest.strip() else "at the end"
        raise BadInput(f"{problem} {found}")


def quoted(text: str) -> str:
    """A text as a filter has it, in the quotes that a shell's quotes leave alone: `"it's"`."""
    return '"' + text.replace('"', '""') + '"'


def contains(text: str, part: str) -> bool:
    """What `~` means: letters of every alphabet match in either case. `store.connection.folding` says it in SQL."""
    return part.lower() in text.lower()


def _number(text: str) -> float | None:
    if _NOT_FINITE.fullmatch(text):
        return float(text)
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    if re.fullmatch(r"[+-]?\d+", text) and abs(number) <= 2**63 and -(2**63) <= int(text) < 2**63:
        return int(text)
    # 1e6 is meant as the integer.
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
