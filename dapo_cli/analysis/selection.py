"""Which runs a comparison rests on, and which it leaves out and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dapo_cli.analysis.listing import select_runs, settings_of
from dapo_cli.errors import BadInput, did_you_mean

if TYPE_CHECKING:
    from store.session import Database

NO_EVALUATION = "completed without an evaluation"
EXTENDED = "extended by another"


@dataclass(frozen=True)
class Selection:
    """`runs`: the completed runs, each a mapping of fields (columns, settings by name, `final`, `tags`, `settings`)."""

    runs: list[dict[str, Any]]
    left_out: Counter[str]

    def notes(self) -> list[str]:
        """`2 runs left out: 1 failed, 1 running`; empty where all counted."""
        if not self.left_out:
            return []
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self.left_out.items()))
        total = self.left_out.total()
        return [f"{total} {'run' if total == 1 else 'runs'} left out: {reasons}"]

    def check_keys(self, option: str, keys: list[str]) -> None:
        """Raise BadInput for a key that no run has."""
        known = {"tag"}.union(*self.runs)
        known -= {"tags", "settings", "final"}
        for key in keys:
            if self.runs and key not in known:
                raise BadInput(f"{option}: no run has a key '{key}': {did_you_mean(key, known)}")


def select(database: Database, where: str | None = None) -> Selection:
    """The runs that match the filter `where` (None: all), completed ones with their final return, oldest first."""
    runs: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    for run in matching(database, where):
        if run["status"] != "completed":
            left_out[run["status"]] += 1
        elif run["final"] is None:
            left_out[NO_EVALUATION] += 1
        else:
            runs.append(run)
    return without_extended(runs, left_out)


def without_extended(runs: list[dict[str, Any]], left_out: Counter[str]) -> Selection:
    """The selection of these runs, less those that another of them extends: the two are no independent samples."""
    parents = {run["parent"] for run in runs}
    kept = [run for run in runs if run["id"] not in parents]
    return Selection(kept, left_out + Counter({EXTENDED: len(runs) - len(kept)}))


def matching(database: Database, where: str | None = None) -> list[dict[str, Any]]:
    """Every run that matches the filter `where` (None: all), in any state, as `Selection.runs` has them."""
    rows, _ = select_runs(database, where=where, sort="created_at")
    settings = settings_of(database, [row["id"] for row in rows])
    return [{**settings[row["id"]], **row, "settings": sorted(settings[row["id"]])} for row in rows]
