"""What training took: core hours and GPU hours, failed and tuning runs included."""

from __future__ import annotations

from dapo_cli.configuration.project_file import database_location
from dapo_cli.options.run_options import AnyRuns
from dapo_cli.options.shared import Db, Json
from dapo_cli.terminal import console


def compute(
    *,
    chosen: AnyRuns,
    db: Db = None,
    json: Json = False,
) -> None:
    """What training took: core hours and GPU hours, failed and tuning runs included.

    Core hours are wall time times threads, GPU hours the wall time of runs on a GPU; evaluations are included. The last
    line is the sentence for a paper's checklist.
    """
    from dapo_cli.analysis.accounts.cost import bill
    from dapo_cli.analysis.selection.selected import matching
    from dapo_cli.terminal import formatting
    from store.records.accounting import inherited
    from store.records.marks import KINDS
    from store.session import Database

    with Database.read(database_location(db)) as database:
        runs = matching(database, chosen.choice())
        account = bill(runs, inherited(database))
    if json:
        rows = [
            {"algo": algo, "kind": kind, "status": status, **cost._asdict()}
            for (algo, kind, status), cost in account.rows.items()
        ]
        facts = {"rows": rows, "total": account.total._asdict(), "processors": account.processors}
        console.print_json({**facts, "sentence": account.sentence})
    elif runs:
        rows_and_total = [*account.rows.items(), (("total", "", ""), account.total)]
        console.print_table(
            ("algo", "for", "status", "runs", "steps", "core hours", "GPU hours"),
            [
                (
                    algo,
                    KINDS.get(kind, kind),
                    (status, console.STATUS_STYLES.get(status, "")),
                    str(cost.runs),
                    formatting.steps_text(cost.steps),
                    formatting.number_text(cost.core_hours, account.total.core_hours),
                    formatting.number_text(cost.gpu_hours, account.total.gpu_hours) if cost.gpu_hours else "–",
                )
                for (algo, kind, status), cost in rows_and_total
            ],
            right=("runs", "steps", "core hours", "GPU hours"),
            whole=("status",),
            keys=("algo", "for", "status"),
        )
        console.write("\n" + console.visible(account.sentence))
    if not runs:
        console.info("no runs yet: train one with dapo train" if chosen == AnyRuns() else "no run matches")
    for note in account.notes:
        console.info(note)
