"""What a reviewer needs, in one folder: the page, tables, figures, the rows behind them, and how to make them again."""

from __future__ import annotations

import contextlib
import hashlib
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dapo_cli
from dapo_cli.analysis.comparison.request import Request
from dapo_cli.analysis.selection.selected import Record, matching
from dapo_cli.errors import BadInput
from dapo_cli.files import new_folder
from dapo_cli.report import page, reproduction
from dapo_cli.terminal.console import visible
from dapo_cli.terminal.formatting import duration_text, steps_text

if TYPE_CHECKING:
    from store.session import Database
    from store.transfer.redaction import Redaction

DATABASE, REPORT, SCRIPT, MANIFEST = "runs.db", "report.html", "reproduce.sh", "MANIFEST"
REFERENCES = "references.toml"
TABLES = {"tex": "latex", "md": "markdown", "csv": "csv"}
"""A table's ending -> its format."""

_FIGURES = ("pdf", "png")


def write(
    database: Database,
    request: Request,
    out: Path,
    *,
    title: str | None = None,
    files: bool = False,
    redaction: Redaction | None = None,
) -> None:
    """Write the folder `out`, which is new or empty, for the runs that `request` chooses, those it leaves out included.

    `files`: with the checkpoints of the runs. No text names a folder; `redaction` takes more out. Everything is made
    from the copy of the database in the folder, by what the commands in its script do. Raises BadInput and StoreError,
    and leaves nothing behind then.
    """
    from store.transfer import subset

    runs = matching(database, request.choice)
    if not runs:
        raise BadInput("no run to bundle: see what there is with dapo runs")
    references = Path(request.references).absolute() if request.references else None
    with new_folder(out) as folder:
        ids = [run["id"] for run in runs]
        frozen = request.choice.frozen
        subset.copy(database, ids, folder / DATABASE, selection=frozen, files=files, redaction=redaction)
        if references:
            shutil.copyfile(references, folder / REFERENCES)
            request = replace(request, references=REFERENCES)
        with contextlib.chdir(folder):
            _fill(request, title, ids, redaction)


def _fill(request: Request, title: str | None, ids: Sequence[str], redaction: Redaction | None) -> None:
    """Everything but the database, into the current folder."""
    from dapo_cli.interchange import exporting
    from store.session import Database

    with Database.read(DATABASE) as database:
        runs = matching(database, request.choice)
        if {run["id"] for run in runs} != set(ids):
            raise BadInput(
                "--where chooses by a text that the bundle leaves out: choose by another, or freeze these runs first "
                "(dapo freeze NAME --where …) and bundle them with --selection NAME"
            )
        Path(REPORT).write_bytes(page.render(database, request, title, redaction))
        commands = _tables(database, request)
        figures = _figures(database, request)
        exporting.export(database, runs, "csv", Path("data"))
    script = Path(SCRIPT)
    script.write_bytes(_script(request, title, runs, commands, figures))
    script.chmod(0o755)
    names = sorted(path.as_posix() for path in Path().rglob("*") if path.is_file())
    lines = [f"{hashlib.sha256(Path(name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    Path(MANIFEST).write_text("".join(lines), encoding="utf-8")


def _tables(database: Database, request: Request) -> dict[str, str]:
    """Write the tables; file -> the command that prints it."""
    from dapo_cli.analysis.export import table_export
    from dapo_cli.analysis.export.sheets import Style

    plain = reproduction.without_base(request)
    wanted = {"results": (plain, False), "hyperparameters": (plain, True)}
    if request.base:
        wanted["differences"] = (request, False)
    Path("tables").mkdir()
    commands = {}
    for name, (asked, hyperparameters) in wanted.items():
        for ending, format_ in TABLES.items():
            style = Style(format_, hyperparameters=hyperparameters)
            file = f"tables/{name}.{ending}"
            text = table_export.make(database, asked, style).text
            Path(file).write_bytes(text.encode("utf-8", "backslashreplace"))
            words = ["table", *asked.arguments(), *style.arguments(), "--db", DATABASE]
            commands[file] = f'"$dapo" {shlex.join(words)}'
    return commands


def _figures(database: Database, request: Request) -> list[str]:
    """Draw the learning curves; the files, none where there is nothing to draw."""
    from dapo_cli.figures import curves as figure
    from dapo_cli.figures import style
    from dapo_cli.figures.layout import Paper
    from dapo_cli.report.sections import collect_curves

    Path("figures").mkdir()
    try:
        found = collect_curves(database, request)
    except BadInput:  # the page says so
        return []
    drawn = figure.plot(found)
    images = style.rendered(lambda: drawn.draw(Paper()), _FIGURES, drawn.caption)
    for format_, image in images.items():
        Path(f"figures/curves.{format_}").write_bytes(image)
    return [f"figures/curves.{format_}" for format_ in images]


def _script(
    request: Request, title: str | None, runs: Sequence[Record], tables: dict[str, str], figures: list[str]
) -> bytes:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("dapo_cli.report", "."),
        autoescape=False,  # every word is quoted for the shell, or visible in a comment
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    commands = reproduction.looking(request, DATABASE, title)
    own = [run for run in runs if not run["source"]]
    seconds = sum(run["wall_time"] for run in own)
    values: dict[str, Any] = {
        "version": dapo_cli.__version__,
        "commits": visible(", ".join(sorted({_commit(run) for run in own})) or "none on record"),
        "cost": f"{steps_text(sum(run['steps'] for run in own))} steps, {duration_text(seconds)} of training",
        "files": list(tables.items()),
        "compared": [*tables, *figures, REPORT],
        "figures": figures,
        **{name: f'"$dapo" {shlex.join(commands[name][1:])}' for name in ("plot", "report")},
        "runs": [(shlex.join(reproduction.training(run)[1:]), visible(_told(run))) for run in own],
        "others": [visible(f"{run['id']}, {run['algo']} from {run['source']}") for run in runs if run["source"]],
        "allow": f" --allow {shlex.quote(','.join(request.allow))}" if request.allow else "",
    }
    return environment.get_template("reproduce.sh.j2").render(values).encode("utf-8", "backslashreplace")


def _commit(run: Record) -> str:
    return f"{run['commit'] or 'none on record'}{' with uncommitted changes' if run['dirty'] else ''}"


def _told(run: Record) -> str:
    more = f", from run {run['parent']}" if run["parent"] else ""
    return f"run {run['id']}, {run['status']}{more}{' (approximate)' if run['exactness'] != 'exact' else ''}"
