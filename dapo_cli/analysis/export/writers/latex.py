"""A sheet as a LaTeX table in the style of booktabs, its numbers aligned by siunitx (versions 2 and 3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dapo_cli.analysis.export.sheets import Entry, Part, Sheet, in_blocks
from dapo_cli.analysis.export.writers import tex
from dapo_cli.analysis.export.writers.layout import head, lines, tail

_SIZES = ((70, r"\small"), (76, r"\footnotesize"), (90, r"\scriptsize"))
"""How many digits, blanks between columns counted in, a line of 345 pt holds in a font: the text width of `article`."""
_GAP = 1.9  # digits between two columns
_WRAPPED = 18  # digits to which a longer text is wrapped
_TALL = 46  # lines of text that a page holds beside its caption
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def latex(sheet: Sheet) -> str:
    """A `table` with its caption; the first comment names the packages that it needs, and nothing else is needed.

    What is too wide for a page is set as blocks, one below the other; what is too tall, as a `longtable`. The caption
    stands outside the comments that make the table traceable: it may be reworded.
    """
    blocks = sheet.blocks or (_width(sheet, blocks=False) > _SIZES[1][0] and bool(sheet.over))
    sheet = in_blocks(sheet) if blocks else sheet
    width = _width(sheet, blocks=blocks)
    size = next((name for limit, name in _SIZES if width <= limit), _SIZES[-1][1])
    parts = [part for _ in (sheet.cols if not blocks else [""]) for part in sheet.parts]
    used = _columns(sheet, parts, blocks=blocks)
    header = [r"\toprule", *_header(sheet, blocks=blocks), r"\midrule"]
    long = _height(sheet, blocks=blocks) > _TALL
    rows = _rows(sheet, len(used) + len(sheet.headings), blocks=blocks, long=long)
    columns = f"{{@{{}}{'l' * len(sheet.headings)}{''.join(used)}@{{}}}}"
    packages = ("booktabs", *["longtable"] * long, "siunitx")
    caption = rf"\caption{{{tex.prose(sheet.caption, sheet.symbols)}}}"

    def escape(words: str) -> str:
        return tex.text(words, sheet.symbols)

    told = [f"% {line}" for line in head(sheet, "latex", escape, blocks=blocks)]
    looks = [
        size,
        r"\setlength{\tabcolsep}{4pt}",
        r"\sisetup{detect-weight,group-separator={}}",
        *[r"\protected\def\best{\bfseries}"] * any(entry.bold for entry in sheet.entries.values()),
    ]
    if long:
        begin = [r"\begingroup", *looks, r"\setlength{\LTcapwidth}{\linewidth}", rf"\begin{{longtable}}{columns}"]
        begin += [rf"{caption}\\", *told, *header, r"\endfirsthead", *header, r"\endhead"]
        end = [r"\bottomrule", r"\end{longtable}", *_below(sheet), f"% {tail(sheet)}", r"\endgroup"]
    else:
        begin = [r"\begin{table}", r"\centering", rf"{caption}\smallskip", *told, *looks]
        begin += [rf"\begin{{tabular}}{columns}", *header]
        end = [r"\bottomrule", r"\end{tabular}", *_below(sheet), f"% {tail(sheet)}", r"\end{table}"]
    needs = " ".join(rf"\usepackage{{{name}}}" for name in packages)
    return "\n".join([f"% Needs in the preamble: {needs}", *begin, *rows, *end]) + "\n"


def _columns(sheet: Sheet, parts: Sequence[Part], *, blocks: bool) -> list[str]:
    """The kind of each column."""
    used = []
    for index, part in enumerate(parts):
        place = index % len(sheet.parts)
        column = None if blocks else index // len(sheet.parts) + 1
        texts = [
            e.texts[place] for (_, c), e in sheet.entries.items() if column in (None, c) and (blocks or not e.spans)
        ]
        if part.kind == "number":
            used.append(_aligned(texts))
        elif part.kind == "text" and max(map(len, texts), default=0) > (room := _room(sheet, blocks=blocks)):
            used.append(rf">{{\raggedright\arraybackslash}}p{{{room / 2}em}}")  # of package array, part of siunitx
        else:
            kinds = {"spread": r"@{\enspace}r", "marks": "@{}l"}
            used.append(kinds.get(part.kind, "l" if part.kind == "text" else "r"))
    return used


def _aligned(texts: Iterable[str]) -> str:
    """An S column with room for these numbers; a column of text if none of them is one."""
    numbers = [match[0] for words in texts if (match := _NUMBER.fullmatch(words))]
    if not numbers:
        return "r"
    sign = "+" if any(words[0] == "+" for words in numbers) else "-" if any(w[0] == "-" for w in numbers) else ""
    whole = max(len(words.lstrip("+-").partition(".")[0]) for words in numbers)
    after = max(len(words.partition(".")[2]) for words in numbers)
    return f"S[table-format={sign}{whole}.{after}]"


def _header(sheet: Sheet, *, blocks: bool) -> list[str]:
    labels = [tex.text(heading, sheet.symbols) for heading in sheet.headings]
    if blocks:
        return [_row([*labels, *(_title(part) for part in sheet.parts)])]
    each = len(sheet.parts)
    heads = [rf"\multicolumn{{{each}}}{{c}}{{{tex.text(col, sheet.symbols)}}}" for col in sheet.cols]
    first = _row([*labels, *heads])
    if each == 1 or all(part.kind in ("number", "spread", "marks") for part in sheet.parts):
        return [first]
    starts = [len(labels) + 1 + index * each for index in range(len(sheet.cols))]
    rules = "".join(rf"\cmidrule(lr){{{start}-{start + each - 1}}}" for start in starts)
    return [first, rules, _row([*([""] * len(labels)), *(_title(part) for _ in sheet.cols for part in sheet.parts)])]


def _title(part: Part) -> str:
    title = "$n$" if part.title == "n" else "$p$" if part.title == "p" else tex.text(part.title)
    return rf"\multicolumn{{1}}{{{'l' if part.kind == 'text' else 'c'}}}{{{title}}}"


def _rows(sheet: Sheet, width: int, *, blocks: bool, long: bool) -> list[str]:
    rows: list[str] = []
    section = ""
    for line in lines(sheet, blocks=blocks):
        if line.section != section:
            section = line.section
            rows += [r"\addlinespace"] * bool(rows)
            rows.append(_row([rf"\multicolumn{{{width}}}{{@{{}}l}}{{\emph{{{tex.text(section, sheet.symbols)}}}}}"]))
            rows += [r"\nopagebreak"] * long
        labels = [tex.text(label, sheet.symbols) for label in line.labels]
        cells: list[str] = []
        for at in line.cells:
            cells += _cell(sheet, sheet.entries[at] if at else None, blocks=blocks)
        rows.append(_row([*labels, *cells]))
    return rows


def _cell(sheet: Sheet, entry: Entry | None, *, blocks: bool) -> list[str]:
    if entry is None:
        return [r"{\textendash}", *[""] * (len(sheet.parts) - 1)]
    if entry.spans and not blocks:
        return [rf"\multicolumn{{{len(sheet.cols)}}}{{l}}{{{tex.text(entry.texts[0])}}}"]
    done: list[str] = []
    for part, words in zip(sheet.parts, entry.texts, strict=True):
        if part.kind == "number":
            bold = r"\best " if entry.bold and not done else ""
            done.append(f"{bold}{words}" if _NUMBER.fullmatch(words) else f"{{{tex.number(words)}}}")
        elif part.kind == "spread":
            done.append(tex.number(words))
        elif part.kind == "marks":
            done.append(rf"\textsuperscript{{{words}}}" if words else "")
        else:
            done.append(tex.text(words))
    return done


def _below(sheet: Sheet) -> list[str]:
    if not sheet.below:
        return []
    told = [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright"]
    for words in sheet.below:
        mark, colon, rest = words.partition(": ")
        note = colon and re.fullmatch("[a-z]{1,2}", mark)
        text = tex.prose(rest if note else words, sheet.symbols)
        told.append((rf"\textsuperscript{{{mark}}}\,{text}" if note else text) + r"\par")
    return [*told, r"\end{minipage}"]


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _width(sheet: Sheet, *, blocks: bool) -> float:
    """About how many digits a line is wide, the gaps between columns counted in."""
    labels = _labels(sheet)
    if blocks:
        return labels + _width_of(sheet.parts, list(sheet.entries.values()), _room(sheet, blocks=True))
    widths = []
    for col, heading in enumerate(sheet.cols, 1):
        own = [entry for (_, c), entry in sheet.entries.items() if c == col and not entry.spans]
        widths.append(max(_width_of(sheet.parts, own), 1.1 * len(heading) + _GAP))
    return labels + max([sum(widths), *(len(entry.texts[0]) for entry in sheet.entries.values() if entry.spans)])


def _labels(sheet: Sheet) -> float:
    return sum(max(map(len, column)) + _GAP for column in zip(sheet.headings, *sheet.rows, strict=True))


def _room(sheet: Sheet, *, blocks: bool) -> int:
    """Digits to which a text is wrapped: the only column of a block may fill the line."""
    alone = blocks and len(sheet.parts) == 1
    return max(_WRAPPED, int((_SIZES[0][0] - _labels(sheet) - _GAP) / 1.1)) if alone else _WRAPPED


def _height(sheet: Sheet, *, blocks: bool) -> int:
    """About how many lines the rows take, their texts wrapped."""
    room = _room(sheet, blocks=blocks)
    found = list(lines(sheet, blocks=blocks))
    height = 2 * len({line.section for line in found if line.section})
    for line in found:
        entries = [sheet.entries[at] for at in line.cells if at]
        wrapping = [part.kind == "text" and (blocks or not entry.spans) for entry in entries for part in sheet.parts]
        texts = [text for entry in entries for text in entry.texts]
        height += max((-(-len(text) // room) for text, wraps in zip(texts, wrapping, strict=True) if wraps), default=1)
    return height


def _width_of(parts: Sequence[Part], entries: Sequence[Entry], room: int = _WRAPPED) -> float:
    """The same of the cells of one column. Blanks and brackets are narrower than digits."""
    widths = [
        min(max((len(entry.texts[place]) for entry in entries), default=1), room if part.kind == "text" else 99)
        for place, part in enumerate(parts)
    ]
    shares = [(0.9, 0.8) if part.kind == "spread" else (1.1, _GAP) for part in parts]  # of digits, and the gap
    return sum(share * width + gap for width, (share, gap) in zip(widths, shares, strict=True))
