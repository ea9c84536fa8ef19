"""The table of a paper's appendix: the settings of the runs behind a comparison, shared ones once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dapo_cli.analysis.comparison.table import Table
from dapo_cli.analysis.export import cell_keys, sheets
from dapo_cli.analysis.export.sheets import Entry, Part, Sheet, Style
from dapo_cli.analysis.selection.labels import Key, key_text, label_order, labels_of
from dapo_cli.analysis.selection.selected import Record
from dapo_cli.terminal.console import visible
from store.records import settings

if TYPE_CHECKING:
    from store.session import Database

HIDDEN = {"seed", "checkpoint_every", "log_every", "keep_replay", "device", "compile", "threads"}
"""Settings that change no result, and the seed."""
MARKS = {"preset": "†", "file": "‡", "command line": "§"}
"""What stands after a value that is not the default: origin -> mark."""
_MEANINGS = {"preset": "from a preset", "file": "from a file of settings", "command line": "from the command line"}
SHARED = "shared"


class _Setting(NamedTuple):
    """One setting of the runs of one column. `text` is exact, `shown` with fewer digits; `values`: run id -> value."""

    text: str
    shown: str
    origins: tuple[str, ...]
    values: Mapping[str, Key]


def hyperparameter_sheet(database: Database, table: Table, style: Style) -> Sheet:
    """Settings as rows, the rows of `table` as columns; a value that all of them share stands once."""
    columns = [_runs_of(table, label) for label in table.row_labels]
    names = sorted({"steps"}.union(*(run["settings"] for runs in columns for run in runs)) - HIDDEN)
    origins = settings.origins(database, [run["id"] for runs in columns for run in runs], names)
    short = _short(labels_of(run, [name])[0][0] for runs in columns for run in runs for name in names)
    found = {name: [_setting(name, runs, origins, short) for runs in columns] for name in names}
    shared = [name for name in names if all(one and one.text == _text(found[name]) for one in found[name])]
    changed = [name for name in names if name not in shared]
    rows = [*shared, *changed]
    entries: dict[tuple[int, int], Entry] = {}
    behind: dict[tuple[int, int], dict[str, Any]] = {}
    records = []
    headings = [sheets.heading(table, table.rows, label) for label in table.row_labels]
    for r, name in enumerate(rows, 1):
        for c, one in enumerate([_merged(found[name])] if name in shared else found[name], 1):
            if one is None:
                continue
            entries[r, c] = Entry((one.shown,), len(one.values), cell_keys.checksum(one.values), spans=name in shared)
            labels = {"setting": name, "of": SHARED if name in shared else headings[c - 1]}
            runs = {run["id"]: run for runs in columns for run in runs}
            behind[r, c] = {
                "n": len(one.values),
                "origins": list(one.origins),
                "runs": [
                    {key: runs[id_][key] for key in ("id", "env", "seed", "status")} | {"score": cell_keys.plain(value)}
                    for id_, value in one.values.items()
                ],
                "labels": labels,
                "shown": one.shown,
            }
            told = {"symbol": table.symbols.get(name, ""), "value": one.text, "origins": list(one.origins)}
            records.append({**labels, **told, "checksum": entries[r, c].checksum, "at": (r, c)})
    export = cell_keys.export_key(table.request, "hyperparameters", behind)
    used = {origin for one in behind.values() for origin in one["origins"]}
    return Sheet(
        export=export,
        command=sheets.command(table, style),
        caption=_caption(used, (entry.texts[0] for entry in entries.values())),
        headings=("symbol", "setting"),
        over=", ".join(visible(table.symbols.get(key, key)) for key in table.rows) if len(headings) > 1 else "",
        rows=tuple((visible(table.symbols.get(name, "")), visible(name.replace("_", " "))) for name in rows),
        cols=tuple(headings),
        parts=(Part("value", "text", "value"),),
        entries=entries,
        behind=behind,
        below=(),
        records=[{"key": f"{export}.{r}.{c}", **record} for record in records for r, c in [record.pop("at")]],
        symbols=frozenset(table.symbols.values()),
        sections=_sections(len(shared), len(changed), len(headings)),
    )


def _runs_of(table: Table, row: tuple[Key, ...]) -> list[Record]:
    """Every run of a row once."""
    cells = (table.at(row, col) for col in table.col_labels)
    return list({run["id"]: run for cell in cells if cell for run in cell.runs}.values())


def _setting(
    name: str, runs: Sequence[Record], origins: Mapping[str, Mapping[str, str]], short: Mapping[str, str]
) -> _Setting | None:
    own = [run for run in runs if name in run["settings"] or name == "steps"]
    if not own:
        return None
    values = {run["id"]: labels_of(run, [name])[0][0] for run in own}
    used = {id_: origins.get(id_, {}).get(name, "default") for id_ in values}

    def told(texts: Mapping[str, str]) -> str:
        words = {id_: key_text(value) for id_, value in values.items()}
        marked = {id_: texts.get(text, text) + MARKS.get(used[id_], "") for id_, text in words.items()}
        return visible(_summary(own, values, marked))

    return _Setting(told({}), told(short), tuple(sorted(set(used.values()))), values)


def _summary(own: Sequence[Record], values: Mapping[str, Key], of: Mapping[str, str]) -> str:
    """What holds in most environments, then what holds in others. `of`: run id -> value as text."""
    by_env: dict[str, list[str]] = {}
    for run in sorted(own, key=lambda run: (run["env"], label_order((values[run["id"]],)))):
        by_env.setdefault(run["env"], []).append(of[run["id"]])
    texts = {env: " or ".join(dict.fromkeys(found)) for env, found in by_env.items()}
    usual = Counter(texts.values()).most_common(1)[0][0]
    others: dict[str, list[str]] = {}
    for env, text in texts.items():
        if text != usual:
            others.setdefault(text, []).append(env)
    return "; ".join([usual, *(f"{', '.join(envs)}: {text}" for text, envs in others.items())])


def _short(values: Iterable[Key]) -> dict[str, str]:
    """Floats as text -> with six digits, where these tell them from every other value of the table."""
    texts: dict[str, str] = {}
    for value in values:
        exact = key_text(value)
        short = f"{value:.6g}" if isinstance(value, float) else exact
        texts[exact] = exact if isinstance(value, float) and float(short) == value else short
    counts = Counter(texts.values())
    return {exact: short for exact, short in texts.items() if counts[short] == 1}


def _text(columns: Sequence[_Setting | None]) -> str | None:
    return columns[0].text if columns and columns[0] else None


def _merged(columns: Sequence[_Setting | None]) -> _Setting | None:
    values = {id_: value for one in columns if one for id_, value in one.values.items()}
    origins = {origin for one in columns if one for origin in one.origins}
    first = columns[0]
    return first and first._replace(origins=tuple(sorted(origins)), values=values)


def _sections(shared: int, changed: int, columns: int) -> dict[int, str]:
    if columns == 1 or not shared:
        return {}
    return {1: "Shared", **({shared + 1: "Different"} if changed else {})}


def _caption(origins: Collection[str], texts: Iterable[str]) -> str:
    """What the table's marks mean."""
    told = [f"{mark} {_MEANINGS[origin]}" for origin, mark in MARKS.items() if origin in origins]
    sentences = ["Hyperparameters.", f"{', '.join(told)}; the others are defaults." if told else "All are defaults."]
    if any("; " in text for text in texts):
        sentences.append("A value after the name of an environment holds there, the first one elsewhere.")
    return " ".join(sentences)
