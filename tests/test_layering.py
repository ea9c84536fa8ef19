"""Imports go downwards only: commands → training and analysis → algorithms and store, which do not know each other."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("dapo_cli", "algorithms", "store")

# Floor by floor, each folder (or module of a package's top) with what it may import besides itself. A folder that is
# not named here may import nothing and be imported by nobody. A name stands for all that is below it, too.
ALGORITHMS = {
    "algorithms.core": "",
    "algorithms.family": "algorithms.core",
    "algorithms.tabular": "algorithms.core",
    "algorithms.learner": "algorithms.core algorithms.family",
    "algorithms": "algorithms.core algorithms.family algorithms.learner",  # the algorithms themselves
}
STORE = {
    "store.errors": "",
    "store.connection": "store.errors",
    "store.schema": "store.errors store.connection",
    "store.session": "store.errors store.connection store.schema",
    "store.integrity": "store.errors store.connection store.schema store.session",
    "store.records": "store.errors store.connection store.schema store.session",
    "store.queue": "store.errors store.connection store.schema store.session store.records",
    "store.transfer": "store.errors store.connection store.schema store.session store.integrity store.records",
    "store.frames": "store.schema store.session store.integrity store.records",
}
SHARED = {  # by everything above
    "dapo_cli.errors": "",
    "dapo_cli.namesakes": "",
    "dapo_cli.csv_lines": "",
    "dapo_cli.files": "dapo_cli.errors store.connection",
    "dapo_cli.terminal": "dapo_cli.errors",
    "dapo_cli.publishing": "dapo_cli.terminal store.session store.transfer",
    "dapo_cli.statistics": "",
    "dapo_cli.filters": "dapo_cli.errors store",
    "dapo_cli.configuration": "dapo_cli.errors algorithms store",
}
BELOW = " ".join(SHARED)
SELECTION = "dapo_cli.analysis.selection"
COMPARISON = f"{SELECTION} dapo_cli.analysis.comparison"
ANALYSIS = "dapo_cli.analysis"
DAPO_CLI = SHARED | {
    SELECTION: f"{BELOW} store",
    "dapo_cli.analysis.comparison": f"{BELOW} {SELECTION} store",
    "dapo_cli.analysis.curves": f"{BELOW} {SELECTION} store",
    "dapo_cli.analysis.claims": f"{BELOW} {COMPARISON} store",
    "dapo_cli.analysis.export": f"{BELOW} {COMPARISON} store",
    "dapo_cli.analysis.accounts": f"{BELOW} {SELECTION} store",
    "dapo_cli.training.environments": f"{BELOW} algorithms",
    "dapo_cli.training": f"{BELOW} dapo_cli.training.environments algorithms store",
    "dapo_cli.training.policy": f"{BELOW} dapo_cli.training algorithms store",
    "dapo_cli.sweeps.definition": f"{BELOW} {SELECTION} dapo_cli.training algorithms store",
    "dapo_cli.sweeps.work": f"{BELOW} {SELECTION} dapo_cli.training dapo_cli.sweeps.definition store",
    "dapo_cli.figures": f"{BELOW} {ANALYSIS}",
    "dapo_cli.theory": f"{BELOW} dapo_cli.figures algorithms store",
    "dapo_cli.interchange": f"{BELOW} store",
    "dapo_cli.report": f"{BELOW} {ANALYSIS} dapo_cli.figures dapo_cli.interchange store",
    "dapo_cli.options": f"{BELOW} {ANALYSIS} dapo_cli.sweeps algorithms store",
    "dapo_cli.app": f"{BELOW} dapo_cli.options store",
    "dapo_cli.selftest": f"{BELOW} dapo_cli.app dapo_cli.training algorithms store",
    "dapo_cli.commands": "dapo_cli algorithms store",
    "dapo_cli.__main__": "dapo_cli.app",
}
ALLOWED = {layer: set(names.split()) for layer, names in (ALGORITHMS | STORE | DAPO_CLI).items()}
SHARED_BY_TRAIN = "dapo_cli.commands._closing"  # no command: what train and resume print at the end
FACES = {"dapo_cli", "dapo_cli.analysis", "dapo_cli.sweeps", "store"}
"""Packages whose own `__init__` holds words, or the check of `namesakes`; anybody may import them."""


def modules() -> dict[str, Path]:
    files = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


MODULES = modules()


def below(name: str, layer: str) -> bool:
    return f"{name}.".startswith(f"{layer}.")


def layer(name: str) -> str | None:
    """The longest one above the module; the top of a package lends itself to no folder below it but `algorithms`."""
    return max((one for one in ALLOWED if below(name, one)), key=len, default=None)


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}: relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module


def test_imports_go_downwards() -> None:
    wrong = []
    for name, file in MODULES.items():
        mine = layer(name)
        if mine is None and name not in FACES:
            wrong.append(f"{name} has no layer: name its folder here")
        for imported in imports(file):
            package = imported.partition(".")[0]
            if package not in PACKAGES:
                outside = {"store": {"torch", "gymnasium"}, "algorithms": {"sqlalchemy", "gymnasium", "typer", "rich"}}
                if package in outside.get(name.partition(".")[0], ()):
                    wrong.append(f"{name} imports {imported}")
            elif imported not in FACES and mine is not None:
                theirs = layer(imported)
                if theirs != mine and not any(below(theirs or "", one) for one in ALLOWED[mine]):
                    wrong.append(f"{name} imports {imported}")
    assert wrong == []


def test_no_command_imports_another() -> None:
    commands = [name for name in MODULES if name.startswith("dapo_cli.commands.")]
    found = {name: {one for one in imports(MODULES[name]) if one in commands} - {SHARED_BY_TRAIN} for name in commands}
    assert {name: others for name, others in found.items() if others} == {}


def test_folders_make_no_circle() -> None:
    """What the table allows has an order, so that no two layers can import each other."""
    done: set[str] = set()
    waiting = {
        one: {other for other in ALLOWED if any(below(other, name) for name in names)} - {one}
        for one, names in ALLOWED.items()
    }
    while ready := {one for one, needs in waiting.items() if needs <= done}:
        done |= ready
        waiting = {one: needs for one, needs in waiting.items() if one not in done}
    assert set(waiting) == set()


def test_files_hold_one_idea() -> None:
    lines = {name: len(file.read_text(encoding="utf-8").splitlines()) for name, file in MODULES.items()}
    limit = {name: 160 if file.parent.name == "algorithms" else 400 for name, file in MODULES.items()}
    assert {name: count for name, count in lines.items() if count > limit[name]} == {}


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        (["--help"], {"torch", "sqlalchemy", "pandas", "pydantic", "alembic", "gymnasium"}),
        (["runs"], {"torch", "pandas", "alembic", "gymnasium", "scipy", "matplotlib"}),
        (["compare"], {"torch", "alembic", "gymnasium", "matplotlib"}),
    ],
    ids=lambda value: " ".join(sorted(value)),
)
def test_commands_load_only_what_they_need(command: list[str], unwanted: set[str], tmp_path: Path) -> None:
    code = (
        "import sys; from dapo_cli.app import main; main(sys.argv[1:]); "
        f"print(sorted({unwanted!r} & set(sys.modules)), file=sys.stderr)"
    )
    process = subprocess.run(
        [sys.executable, "-P", "-c", code, *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert process.stderr.splitlines()[-1] == "[]"
