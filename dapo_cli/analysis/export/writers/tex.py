"""Text and numbers as LaTeX that pdflatex sets with its own fonts, whatever characters they hold."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

_GREEK = {
    **{character: f"\\{unicodedata.name(character).split()[-1].lower()}" for character in "αβγδζηθικμνξπρστυχψω"},
    **{character: f"\\{unicodedata.name(character).split()[-1].capitalize()}" for character in "ΓΔΘΞΠΣΥΦΨΩ"},
    "λ": r"\lambda",
    "Λ": r"\Lambda",
    "ε": r"\varepsilon",
    "ϵ": r"\epsilon",
    "φ": r"\varphi",
    "ϕ": r"\phi",
    "µ": r"\mu",
}
_MATH = {
    **_GREEK,
    "±": r"\pm",
    "−": "-",
    "×": r"\times",
    "·": r"\cdot",
    "≤": r"\leq",
    "≥": r"\geq",
    "≠": r"\neq",
    "≈": r"\approx",
    "∞": r"\infty",
    "→": r"\to",
    "°": r"{}^\circ",
}
_ACCENTS = {
    "\N{COMBINING GRAVE ACCENT}": "`",
    "\N{COMBINING ACUTE ACCENT}": "'",
    "\N{COMBINING CIRCUMFLEX ACCENT}": "^",
    "\N{COMBINING TILDE}": "~",
    "\N{COMBINING DIAERESIS}": '"',
    "\N{COMBINING MACRON}": "=",
    "\N{COMBINING BREVE}": "u",
    "\N{COMBINING DOT ABOVE}": ".",
    "\N{COMBINING RING ABOVE}": "r",
    "\N{COMBINING DOUBLE ACUTE ACCENT}": "H",
    "\N{COMBINING CARON}": "v",
    "\N{COMBINING CEDILLA}": "c",
    "\N{COMBINING DOT BELOW}": "d",
}
_TEXT = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"\`{}",
    "<": "$<$",
    ">": "$>$",
    "|": r"$\vert$",
    '"': "{''}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "…": r"\ldots{}",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "§": r"\S{}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "[": "{[}",  # after the end of a row it would begin an argument, and so would a star
    "*": "{*}",
    "\N{NO-BREAK SPACE}": "~",
    "\N{NARROW NO-BREAK SPACE}": r"\,",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{character: f"${command}$" for character, command in _MATH.items()},
}
_SUBSCRIPTS = {chr(0x2080 + digit): str(digit) for digit in range(10)}
_COMBINED_IN_MATH = {"\N{COMBINING MACRON}": r"\bar", "\N{COMBINING CIRCUMFLEX ACCENT}": r"\hat"}


def text(words: str, symbols: Collection[str] = ()) -> str:
    """`words` escaped; `[U+4E2D]` stands for what no font has. Symbols that stand alone or before ` =` are in math."""
    pattern = "|".join(sorted(map(re.escape, symbols), key=len, reverse=True))
    if not pattern:
        return _escaped(words)
    parts = re.split(rf"(?<![\w$])({pattern})(?= = |$|,)", words)
    return "".join(math(part) if index % 2 else _escaped(part) for index, part in enumerate(parts))


def prose(words: str, symbols: Collection[str] = ()) -> str:
    """The same for sentences: percentages hold together, and n, p and t are in math."""
    escaped = text(re.sub(r"(?<=\d) %", "\N{NARROW NO-BREAK SPACE}%", words), symbols)
    return re.sub(r"(?<![\w$\\{])([npt])(?= (?:=|\$\\geq|runs|by|test|interval))", r"$\1$", escaped)


def math(symbol: str) -> str:
    """A symbol in math mode, `$\\tau_{0}$`, where it is made of letters, digits and subscripts; else its text."""
    done = ""
    for character in unicodedata.normalize("NFD", symbol):
        if character.isascii() and character.isalnum():
            done += character
        elif character in _GREEK:
            done += _GREEK[character] + " "
        elif character in _SUBSCRIPTS:
            done += f"_{{{_SUBSCRIPTS[character]}}}"
        elif character in _COMBINED_IN_MATH and done[-1:].isalpha():
            done = f"{done[:-1]}{_COMBINED_IN_MATH[character]}{{{done[-1]}}}"
        else:
            return _escaped(symbol)
    return f"${done.strip()}$"


def number(words: str) -> str:
    """Numbers among brackets, commas and signs: `[$-$4, 12]`."""
    done = words.replace("-", "$-$").replace("∞", r"$\infty$").replace("$$", "")
    return done.replace("±", r"$\pm$")


def _escaped(words: str) -> str:
    done: list[str] = []
    for character in unicodedata.normalize("NFD", words):
        if character in _TEXT:
            done.append(_TEXT[character])
        elif " " <= character <= "~":
            done.append(character)
        elif character in _ACCENTS and done and len(done[-1]) == 1 and done[-1].isalpha():
            done[-1] = f"\\{_ACCENTS[character]}{{{done[-1]}}}"
        else:
            done.append(f"{{[}}U+{ord(character):04X}]")
    return re.sub("-(?=-)", "-{}", "".join(done))  # two are a dash
