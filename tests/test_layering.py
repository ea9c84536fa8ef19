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

# A module's layer -> the layers that it may import. The longest matching prefix names the layer.
ALLOWED = {
    "algorithms": {"algorithms"},
    "store": {"store"},
    "dapo_cli.commands": {
        "dapo_cli",
        "dapo_cli.commands",
        "dapo_cli.training",
        "dapo_cli.analysis",
        "dapo_cli.selftest",
        "dapo_cli.sweeps",
        "algorithms",
        "store",
    },
    "dapo_cli.selftest": {"dapo_cli", "dapo_cli.selftest", "dapo_cli.training", "algorithms", "store"},
    "dapo_cli.sweeps": {
        "dapo_cli",
        "dapo_cli.sweeps",
        "dapo_cli.training",
        "dapo_cli.analysis",
        "algorithms",
        "store",
    },
    "dapo_cli.training": {"dapo_cli", "dapo_cli.training", "algorithms", "store"},
    "dapo_cli.analysis": {"dapo_cli", "dapo_cli.analysis", "store"},
    "dapo_cli": {"dapo_cli", "dapo_cli.analysis", "algorithms", "store"},
}


def modules() -> list[Path]:
    return sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


def layer(name: str) -> str:
    return max((prefix for prefix in ALLOWED if f"{name}.".startswith(f"{prefix}.")), key=len)


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_go_downwards(file: Path) -> None:
    name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for imported in imports(file):
        package = imported.partition(".")[0]
        if package in PACKAGES:
            assert layer(imported) in ALLOWED[layer(name)], f"{name} imports {imported}"
        elif layer(name) == "store":
            assert package not in ("torch", "gymnasium"), f"{name} imports {imported}"
        elif layer(name) == "algorithms":
            assert package not in ("sqlalchemy", "gymnasium", "typer", "rich"), f"{name} imports {imported}"


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(ROOT)))
def test_files_hold_one_idea(file: Path) -> None:
    public_algorithm = file.parent.name == "algorithms" and not file.name.startswith("_")
    assert len(file.read_text().splitlines()) <= (160 if public_algorithm else 400)


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
