"""The report as one page: nothing is loaded, nothing can be sent, and text from the database stays text."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

import dapo_cli
from dapo_cli.analysis.comparison.request import Request
from dapo_cli.analysis.selection.selected import matching
from dapo_cli.figures.style import COLOURS
from dapo_cli.report import reproduction, sections
from dapo_cli.report.sections import Contents
from dapo_cli.terminal.console import visible
from store.transfer.redaction import Redaction

if TYPE_CHECKING:
    from store.session import Database

LONG = 18
"""Characters of a word that is broken where a table is printed, so that no column is lost at the paper's edge."""


def render(database: Database, request: Request, title: str | None = None, redaction: Redaction | None = None) -> bytes:
    """The page on what `request` asks for; the same database gives the same bytes. Raises BadInput.

    No text of it names a folder, nor the server of the database; `redaction` takes more out.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    told = (redaction or Redaction()).text
    found = sections.gather(database, request)
    runs = [run for run in matching(database, request.choice) if run["kind"] in ("train", "tuning")]
    environment = Environment(
        loader=PackageLoader("dapo_cli.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: _shown(value, told),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.tests["long"] = lambda text: max(map(len, text.split()), default=0) > LONG
    style, script = _style(), Markup(_asset("report.js"))
    commands = reproduction.looking(request, database.path.name if database.path else "DATABASE", title)
    text = environment.get_template("report.html.j2").render(
        title=title or _title(found),
        found=found,
        request=request,
        style=style,
        script=script,
        policy=_policy(style, script),
        curves=_json(found.drawing.data(), told) if found.drawing else "",
        numbers=_json(found.final.records(), told),
        commands={name: reproduction.line(words) for name, words in commands.items()},
        trained=[reproduction.stored(run) for run in runs],
        version=dapo_cli.__version__,
    )
    return text.encode()


def _title(found: Contents) -> str:
    facts = dict(found.facts)
    return f"{facts['Algorithms']} on {facts['Environments']}"


def _asset(name: str) -> str:
    return (resources.files("dapo_cli.report") / name).read_text(encoding="utf-8")


def _style() -> Markup:
    """The sheet, with the colours that figures have."""
    colours = "".join(f"--c{number}:{colour};" for number, colour in enumerate(COLOURS))
    uses = "".join(f".c{number}{{--line:var(--c{number})}}" for number in range(len(COLOURS)))
    return Markup(f":root{{{colours}}}\n{_asset('report.css')}{uses}\n")


def _policy(style: str, script: str) -> Markup:
    """Of the browser for this page: no request at all, and no script and no style but ours."""
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script))
    own_style, own_script = hashes
    return Markup(  # our own words: a digest is not to be taken for a path
        f"default-src 'none'; style-src 'sha256-{own_style}'; script-src 'sha256-{own_script}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _shown(value: Any, told: Callable[[str], str]) -> Any:
    """What a template prints: text that may be `told`, with its control and formatting characters written out."""
    return visible(told(value)) if isinstance(value, str) and not isinstance(value, Markup) else value


def _json(value: Any, told: Callable[[str], str]) -> Markup:
    """JSON that ends no element, with null for a number that is not finite, and visible text that may be `told`."""
    text = json.dumps(_plain(value, told), separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _plain(value: Any, told: Callable[[str], str]) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return visible(told(value))
    if isinstance(value, Mapping):
        return {visible(told(str(key))): _plain(item, told) for key, item in value.items()}
    return [_plain(item, told) for item in value] if isinstance(value, list | tuple) else value
