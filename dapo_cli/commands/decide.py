"""What runs say of claims that were registered before they were made."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dapo_cli.configuration.project_file import database_location
from dapo_cli.errors import BadInput, did_you_mean
from dapo_cli.options import request_options, shared
from dapo_cli.terminal import console
from dapo_cli.terminal.formatting import fixed_text

if TYPE_CHECKING:
    from dapo_cli.analysis.claims.decisions import Decision
    from dapo_cli.analysis.claims.rules import Finding

COLUMNS = ("claim", "says", "verdict", "env", "n", "found", "remark")
MEANING = (
    "found: the difference that decided, or for 'fails' the mean, in per cent of what the scale's runs learned beyond "
    "a random policy, with its interval and the confidence of that. n: the fewest runs of a group, and those of the "
    "base. Interim: runs are missing that were registered."
)


def decide(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="Claims: see docs/claims.md.")],
    only: Annotated[str, typer.Option(metavar="NAMES", help="Only these claims.", show_default=False)] = "",
    measure: Annotated[
        str | None,
        typer.Option(metavar="MEASURE", help="By this score in place of the claims' own, to see whether it matters."),
    ] = None,
    references: request_options.References = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table on standard output.")] = False,
    db: shared.Db = None,
    json: shared.Json = False,
) -> None:
    """Decide claims that were written down before the runs: supported, not supported, or undecided.

    Each claim names its runs, its base and a rule with a margin fixed beforehand: comparable, fails, not worse, faster,
    sensitive, insensitive. Differences are shares of what the runs of its scale learned beyond a random policy. Fewer
    runs than registered make a verdict interim.
    """
    from dapo_cli.analysis.claims import claims_file, decisions
    from dapo_cli.analysis.comparison.references import read as read_references
    from store.session import Database

    claims = claims_file.read(file)
    if measure is not None:
        if not request_options.measure(measure).is_return:
            raise BadInput(f"--measure: {measure} is no return: choose final, final-train, best or auc")
        claims = [claim.model_copy(update={"measure": measure}) for claim in claims]
    names = shared.keys("--only", only)
    for name in names:
        if name not in (known := [claim.name for claim in claims]):
            raise BadInput(f"--only: {file} has no claim '{name}': {did_you_mean(name, known)}")
    returns = read_references(references)
    with Database.read(database_location(db)) as database:
        asked = [claim for claim in claims if not names or claim.name in names]
        found = [decisions.decide(database, claim, returns) for claim in asked]
    if json:
        console.print_json([record for decision in found for record in decision.records()])
    elif markdown:
        console.write(f"{_markdown(_rows(found))}\n{MEANING}\n")
    else:
        console.print_table(COLUMNS, _rows(found), right=["n"], whole=["claim", "found"])
        console.info(MEANING)


def _rows(found: list[Decision]) -> list[tuple[str, ...]]:
    from dapo_cli.analysis.claims import decisions

    rows: list[tuple[str, ...]] = []
    for decision in found:
        claim = decision.claim
        decided = decision.verdict not in (decisions.NOTHING, decisions.WAITING)
        verdict = decision.verdict + (", interim" if decided and decision.interim else "")
        for number, one in enumerate(decision.evidence):
            head = (claim.name, claim.text, verdict) if number == 0 else ("", "", "")
            counts = f"{one.runs} / {one.base}" if claim.base else str(one.runs)
            remark = "; ".join(filter(None, (one.finding.words, *one.remarks)))
            rows.append((*head, one.env, counts, interval_text(one.finding), remark))
    return rows


def _markdown(rows: list[tuple[str, ...]]) -> str:
    lines = [COLUMNS, (":---",) * len(COLUMNS), *rows]
    cells = ([" ".join(cell.split()).replace("|", r"\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def interval_text(found: Finding) -> str:
    """`-12 % [-30, 6] 95 %`, and a dash where nothing was measured."""
    if math.isnan(found.value):
        return "–"
    low, high = (fixed_text(100 * bound, 0) for bound in (found.low, found.high))
    return f"{fixed_text(100 * found.value, 0, signed=True)} % [{low}, {high}] {100 * found.confidence:.0f} %"
