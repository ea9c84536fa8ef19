"""Check the theorems on policy mirror descent, and draw their rates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dapo_cli.errors import BadInput
from dapo_cli.options import shared
from dapo_cli.terminal import console

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dapo_cli.figures.layout import Paper
    from dapo_cli.theory.recording import Entry

Instances = Annotated[int, typer.Option(metavar="N", min=1, max=100_000, help="Random MDPs.")]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the MDPs.")]
Db = Annotated[
    str | None,
    typer.Option("--db", metavar="PATH|URL", help="Also record the results there, as runs of kind theory."),
]
Out = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="Where to: .pdf, .svg, .png or .pgf; repeatable.", show_default=False),
]

theory = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    help="Check the theorems on policy mirror descent on random MDPs, or draw rates: rates, sac.",
)


@theory.callback()
def check(
    context: typer.Context,
    instances: Annotated[int, typer.Option(metavar="N", min=10, max=100_000, help="Random MDPs.")] = 120,
    seed: Seed = 0,
    db: Db = None,
    json: shared.Json = False,
) -> None:
    """Check seven theorems on random MDPs, each with a control: the same bound with a part broken must fail.

    Exit code 1 where a theorem is violated or a control is not caught. rates and sac draw how fast the gap closes.
    """
    if context.invoked_subcommand is not None:
        if any(str(context.get_parameter_source(name)).endswith("COMMANDLINE") for name in context.params):
            name = context.invoked_subcommand
            raise BadInput(f"options of dapo theory {name} come after its name: dapo theory {name} --seed 1")
        return
    _one_thread()
    from dapo_cli.theory import entries, theorem_tests

    report = theorem_tests.report(instances, seed)
    if db:
        _record(db, entries.of_statements(report["statements"], seed))
    if json:
        console.print_json(report)
    else:
        _print(report)
    if not theorem_tests.holds(report["statements"]):
        raise typer.Exit(1)


@theory.command()
def rates(out: Out = None, instances: Instances = 10, seed: Seed = 0, db: Db = None, json: shared.Json = False) -> None:
    """Draw the gap against the iteration, with the bounds: exact, with errors, and with a function class.

    With --json the numbers are printed, and a file is written only if --out names one.
    """
    from dapo_cli.theory import entries, figures
    from dapo_cli.theory import rates as computed

    files = _files(out, "rates.pdf", json)
    _one_thread()
    lines = computed.lines(instances, seed)
    records = [
        {
            "panel": line.panel,
            "line": line.label,
            "algo": line.algo,
            **line.settings,
            "gap": line.gap.median(-1).values.tolist(),
            "bound": None if line.bound is None else line.bound.median(-1).values.tolist(),
        }
        for line in lines
    ]
    _draw(files, lambda paper: figures.draw_rates(lines, seed, paper), figures.rates_caption(lines, seed))
    if db:
        _record(db, entries.of_rates(lines, seed))
    if json:
        console.print_json(records)
        return
    rows = [
        (record["panel"], record["line"], *(f"{record['gap'][k]:.2g}" for k in (0, 10, -1)), _last(record["bound"]))
        for record in records
    ]
    right = ("k = 0", "k = 10", f"k = {computed.ITERATIONS}", "bound")
    console.print_table(("steps", "line", *right), rows, right=right, keys=("steps", "line"))
    _closing(files)


@theory.command()
def sac(out: Out = None, instances: Instances = 10, seed: Seed = 0, db: Db = None, json: shared.Json = False) -> None:
    """Draw how the regularised step converges as β goes to 1, where it is SAC's.

    With --json the numbers are printed, and a file is written only if --out names one.
    """
    from dapo_cli.theory import entries, figures
    from dapo_cli.theory import sac_limit as computed

    files = _files(out, "sac.pdf", json)
    _one_thread()
    runs = computed.runs(instances, seed)
    _draw(files, lambda paper: figures.draw_sac(runs, seed, paper), figures.sac_caption(runs, seed))
    if db:
        _record(db, entries.of_sac(runs, seed))
    if json:
        records: list[dict[str, Any]] = [
            {
                "beta": run.beta,
                "rate": run.rate,
                "bound_rate": run.bound_rate,
                "error": run.error.median(-1).values.tolist(),
                "bound": run.bound.median(-1).values.tolist(),
            }
            for run in runs
        ]
        console.print_json(records)
        return
    rows = [
        (f"{run.beta:g}", f"{run.rate:.2g}", f"{run.bound_rate:.3g}", f"{float(run.error[9].median()):.2g}")
        for run in runs
    ]
    header = ("β", "factor of an iteration", "of the bound", "error at k = 10")
    console.print_table(header, rows, right=header)
    _closing(files)


def _print(report: dict[str, Any]) -> None:
    from dapo_cli.theory.theorem_tests import OF_VALUES

    rows = []
    for record in report["statements"]:
        control = record["control"]
        caught = (f"{control['breaches']}", "") if control["caught"] else ("not caught", "red")
        violations = (str(record["violations"]), "red" if record["violations"] else "")
        for name, part in record["parts"].items():  # the exact part and that with ε, each by itself
            ratios = ["–" if value is None else f"{value:.2g}" for value in part["tightest_ratio"].values()]
            first = name == next(iter(record["parts"]))
            whole = (record["title"], violations, caught) if first else ("the same with ε", "", "")
            vacuous = f"{part['vacuous']:.0%}" if record["name"] in OF_VALUES else ""
            rows.append((record["name"], whole[0], str(part["checked"]), whole[1], *ratios, vacuous, whole[2]))
    right = ("checked", "broken", "k ≥ 1", "≥ 10", "≥ 50", "vacuous", "control")
    console.print_table(("", "theorem", *right), rows, right=right, whole=("",), keys=("", "theorem"))
    console.write("")
    for record in report["statements"]:
        maps = ", ".join(tally["name"] for tally in record["mirror_maps"])
        console.write(f"{record['name']}  {record['claim']}")
        console.write(f"    {record['source']}; {maps}; control: {record['control']['what']}")
    console.info(
        f"{report['statements'][0]['instances']} random MDPs, seed {report['seed']}. k ≥ n: the largest ratio of "
        "measured to bound from that iteration on; vacuous: bounds above 1/(1−γ), the largest value; control: "
        "how often the broken bound failed, as it must."
    )
    console.info(report["note"])


def _one_thread() -> None:
    """The matrices are small: more threads cost more than they bring."""
    import torch

    torch.set_num_threads(1)


def _files(out: list[Path] | None, default: str, json: bool) -> dict[Path, str]:
    """The figure's files with their formats."""
    from dapo_cli.figures import style

    return {path: style.format_of(path) for path in out or ([] if json else [Path(default)])}


def _draw(files: dict[Path, str], draw: Callable[[Paper], Figure], caption: str) -> None:
    from dapo_cli.figures import style
    from dapo_cli.figures.layout import Paper
    from dapo_cli.files import write_files

    if files:
        images = style.rendered(lambda: draw(Paper()), set(files.values()), caption)
        write_files({path: images[format_] for path, format_ in files.items()})


def _record(location: str, entries: Iterable[Entry]) -> None:
    from dapo_cli.theory.recording import record
    from dapo_cli.training.provenance import of_process

    count = record(location, entries, of_process("cpu"))
    console.info(f"recorded {count} runs of kind theory in {location}")


def _closing(files: Iterable[Path]) -> None:
    from dapo_cli.theory.statements import NOTE

    for path in files:
        console.info(f"wrote {path}")
    console.info(NOTE)


def _last(values: list[float] | None) -> str:
    return "" if values is None else f"{values[-1]:.2g}"
