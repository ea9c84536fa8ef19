"""What a reader of each format makes of a table or a page: nothing but what the writer put there."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

# What the writer of LaTeX uses itself. Any other command would have come from the texts.
_COMMANDS = set(
    "begin end centering caption smallskip footnotesize small scriptsize setlength tabcolsep sisetup toprule midrule "
    "bottomrule addlinespace multicolumn emph textsuperscript best protected def bfseries par linewidth raggedright "
    "enspace textendash textemdash textbackslash textasciitilde textasciicircum vert ldots dag ddag S ss ae AE oe OE "
    "o O l L i pm times cdot leq geq neq approx infty to circ bar hat arraybackslash cmidrule u r H c d".split()
) | set("&%$#_{}, '`^~\"=.")
_GREEK = re.compile(
    "(var)?(alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau|upsilon|phi|chi"
    "|psi|omega)",
    re.IGNORECASE,
)


def latex(text: str) -> None:
    """Known commands in known environments, balanced braces and dollars, as many columns in every row."""
    assert "\r" not in text
    body = "\n".join(line for line in text.split("\n") if not line.startswith("%"))
    assert all(" " <= character <= "~" for character in body.replace("\n", ""))
    plain = body.replace(r"\\", "\n")
    commands = re.findall(r"\\([A-Za-z]+|[^A-Za-z])", plain)
    assert {name for name in commands if not _GREEK.fullmatch(name)} <= _COMMANDS
    assert set(re.findall(r"\\(?:begin|end)\{(\w*)\}", plain)) <= {"table", "tabular", "minipage"}
    bare = re.sub(r"\\[A-Za-z]+|\\[^A-Za-z]", "", plain.replace(r"{}^\circ", ""))
    assert not set("%#^") & set(bare)
    assert bare.count("$") % 2 == 0
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    rows = [row for part in re.split(r"\\(?:top|mid|bottom)rule", body)[1:3] for row in part.split(r" \\")[:-1]]
    assert len({_columns(row) for row in rows}) == 1


def _columns(row: str) -> int:
    spans = [int(number) - 1 for number in re.findall(r"\\multicolumn\{(\d+)\}", row)]
    return sum(spans) + 1 + len(re.findall(r"(?<!\\)&", row))


class Elements(HTMLParser):
    """The tags, attributes and text of a page, whose elements must be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: set[tuple[str, str]] = set()
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag != "meta":
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {(name, value or "") for name, value in attrs}

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data


def html(text: str) -> Elements:
    """The elements of one table."""
    found = Elements(text)
    assert set(found.tags) <= set("figure table thead tbody tr th td p sup strong figcaption".split())
    assert found.tags.count("table") == 1
    assert {name for name, _ in found.attributes} <= {"scope", "data-key", "colspan"}
    return found


_PAGE = set(
    "html head meta title style script body header nav main section footer h1 h2 h3 p dl div dt dd a code pre table "
    "thead tbody tr th td figure figcaption button svg g path line polyline rect text".split()
)


def report(text: str) -> None:
    """The page's own elements and scripts; no attribute that runs or loads anything."""
    found = Elements(text)
    assert set(found.tags) <= _PAGE, set(found.tags) - _PAGE
    assert found.tags.count("script") in (2, 3)
    names = {name for name, _ in found.attributes}
    assert not [name for name in names if name.startswith("on") or name in ("src", "srcset", "action", "srcdoc")]
    assert all(value.startswith("#") for name, value in found.attributes if name in ("href", "xlink:href"))
    assert all(character.isprintable() or character == "\n" for character in text)


def markdown(text: str) -> None:
    """One table and paragraphs; of HTML comments and `<sup>`; no link, image, code or heading."""
    kinds, of_html = set(), ""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        for part in (token, *(token.children or ())):
            kinds.add(re.sub("_(open|close)$", "", part.type))
            if part.type.startswith("html"):
                of_html += part.content
    known = set("paragraph inline text softbreak text_special html_inline html_block strong em".split())
    assert kinds <= known | set("table thead tbody tr th td".split())
    assert "table" in kinds
    assert re.sub(r"<!--.*?-->|</?sup>", "", of_html, flags=re.DOTALL).strip() == ""


def csv_rows(text: str) -> list[dict[str, str]]:
    """Its rows by the names of the header."""
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    return [dict(zip(header, row, strict=True)) for row in rows]


def json_object(text: str) -> dict[str, object]:
    """ASCII, and every number finite."""
    assert text.isascii()
    told = json.loads(text, parse_constant=lambda constant: pytest.fail(constant))
    assert isinstance(told, dict)
    return told


READERS = {"latex": latex, "html": html, "markdown": markdown, "csv": csv_rows, "json": json_object}
