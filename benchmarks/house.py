"""Counts the house: files, lines, rooms, floors, and what should become rarer. Reads the sources; imports none of them.

    python benchmarks/house.py [--against DIR]

A line of code holds a token that is no comment and no docstring; imports count. A floor is one import above another. A
module's importers are modules of the three packages, whatever they take from it. With --against the same figures of
another checkout stand beside these.
"""

from __future__ import annotations

import argparse
import ast
import io
import tokenize
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGES = ("algorithms", "store", "dapo_cli")
SILENT = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


class Module(NamedTuple):
    """One source file."""

    name: str
    text: str
    tree: ast.Module
    folder: str


def main() -> None:
    """Prints the figures as a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path)
    options = parser.parse_args()
    root = Path(__file__).resolve().parents[1]
    columns = [figures(one) for one in (options.against, root) if one]
    for name in columns[-1]:
        print(f"{name:<58}", *(f"{column.get(name, 0):>9,}" for column in columns))


def figures(root: Path) -> dict[str, int]:
    """Every figure by its name."""
    modules = {module.name: module for package in PACKAGES for module in _modules(root / package, root)}
    imports = {name: set(_imports(module, modules)) for name, module in modules.items()}
    importers = Counter(imported for found in imports.values() for imported in found)
    stems = Counter(name.rpartition(".")[2] for name in modules)
    documents = [len(_documentation(module)) for module in modules.values()]
    code = {
        package: sum(_code(module) for module in modules.values() if _in(module.name, package)) for package in PACKAGES
    }
    tests = [file.read_text(encoding="utf-8") for file in (root / "tests").rglob("*.py")]
    found = {
        "modules": len(modules),
        "lines of code": sum(code.values()),
        **{f"  {package}": lines for package, lines in code.items()},
        "  imports among them": sum(_import_lines(module) for module in modules.values()),
        "lines of docstrings": sum(documents),
        "lines of comments": sum(_comments(module) for module in modules.values()),
        "lines of tests": sum(len(text.splitlines()) for text in tests),
        "modules with one importer": sum(importers[name] == 1 for name in modules),
        "module names that occur twice": sum(
            count > 1 for stem, count in stems.items() if stem not in ("__init__", *PACKAGES)
        ),
        "private modules imported from another folder": _private(modules, imports),
        "uses of Any": sum(_names(module, "Any") for module in modules.values()),
        'rows read by a key, x["…"], in dapo_cli': sum(
            _subscripts(module) for name, module in modules.items() if _in(name, "dapo_cli")
        ),
    }
    for folder in sorted({module.folder for module in modules.values()}):
        inside = {name: imports[name] & _of(folder, modules) for name in _of(folder, modules)}
        floors, circle = _floors(inside)
        found[f"{folder}: modules"] = len(inside)
        found[f"{folder}: floors"] = floors
        found[f"{folder}: modules in a circle"] = circle
    return found


def _modules(folder: Path, root: Path) -> Iterator[Module]:
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        text = file.read_text(encoding="utf-8")
        yield Module(".".join(parts).removesuffix(".__init__"), text, ast.parse(text), ".".join(parts[:-1]))


def _in(name: str, package: str) -> bool:
    return name.partition(".")[0] == package


def _of(folder: str, modules: dict[str, Module]) -> set[str]:
    return {name for name, module in modules.items() if module.folder == folder and name != folder}


def _imports(module: Module, modules: dict[str, Module]) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield from (name for name in (whole if whole in modules else node.module,) if name in modules)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)


def _documentation(module: Module) -> set[int]:
    """The lines of docstrings."""
    lines: set[int] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                lines |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return lines


def _code(module: Module) -> int:
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        if token.type not in SILENT:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - _documentation(module))


def _comments(module: Module) -> int:
    """Lines that are a comment and nothing else."""
    return sum(line.lstrip().startswith("#") for line in module.text.splitlines())


def _import_lines(module: Module) -> int:
    nodes = (node for node in ast.walk(module.tree) if isinstance(node, ast.Import | ast.ImportFrom))
    return sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in nodes)


def _names(module: Module, name: str) -> int:
    return sum(isinstance(node, ast.Name) and node.id == name for node in ast.walk(module.tree))


def _subscripts(module: Module) -> int:
    return sum(
        isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
        and isinstance(node.ctx, ast.Load)
        for node in ast.walk(module.tree)
    )


def _private(modules: dict[str, Module], imports: dict[str, set[str]]) -> int:
    """Imports of a module whose name begins with an underscore, from outside its folder."""
    return sum(
        imported.rpartition(".")[2].startswith("_") and modules[imported].folder != modules[name].folder
        for name, found in imports.items()
        for imported in found
    )


def _floors(imports: dict[str, set[str]]) -> tuple[int, int]:
    """How many floors the modules have, and how many of them are in a circle."""
    circular = {name for name in imports if name in _reached(imports, name)}

    @cache
    def floor(name: str) -> int:
        return 1 + max((floor(one) for one in imports[name] - circular), default=0)

    return max((floor(name) for name in imports if name not in circular), default=0), len(circular)


def _reached(imports: dict[str, set[str]], name: str) -> set[str]:
    found: set[str] = set()
    waiting = set(imports[name])
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting |= imports.get(one, set())
    return found


if __name__ == "__main__":
    main()
