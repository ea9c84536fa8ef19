"""What a table says of itself: the base by its name, only columns that are there, letters in the order of reading."""

from __future__ import annotations

import re

import pytest

from dapo_cli.analysis.comparison import build, cell_text
from dapo_cli.analysis.comparison.request import Request
from dapo_cli.analysis.export import captions
from dapo_cli.analysis.selection.selected import Choice
from dapo_cli.report import results as listings


@pytest.fixture
def remarked(record_run):
    """Two algorithms; the runs of sac on the first environment and of ampo on the last are imported."""
    for env in ("A-v0", "B-v0", "C-v0", "D-v0", "E-v0"):
        for algo in ("ampo", "sac"):
            source = {("A-v0", "sac"): "first", ("E-v0", "ampo"): "last"}.get((env, algo))
            for seed in range(5):
                record_run(algo, env, seed=seed, final=[1000.0 + seed], source=source)


def order(text: str) -> list[str]:
    """The letters as they are met in the table."""
    return re.findall(r"\\textsuperscript\{(\w)\} \\\\", text)


def test_letters_are_in_the_order_of_reading_in_every_format(results, remarked, write):
    table = build.build(results, Request())
    listing = listings.results(table)
    marks = [row[-1] for part in listing.parts for row in part.rows if row[-1]]
    assert marks == ["a", "b"]
    assert "a: all imported from first" in listing.remarks
    blocks = write("latex")  # five environments are too wide for a page: one below the other
    assert "layout: latex blocks" in blocks
    assert order(blocks) == ["a", "b"]
    assert blocks.index(r"\textsuperscript{a}\,all imported from first") < blocks.index(r"{b}\,all imported from last")
    grid = write("markdown")  # row by row
    assert re.findall(r"<sup>(\w)</sup>", grid) == ["a", "b"]
    assert grid.index("a: all imported from last") < grid.index("b: all imported from first")


def test_the_terminal_has_them_in_order_too(dapo_out, remarked):
    marks = [line.split()[-1] for line in dapo_out("compare") if re.match(r" *\S+-v0 .* [ab]$", line)]
    assert marks == ["a", "b"]


def test_the_base_is_named(results, record_run):
    for seed in range(5):
        record_run("sac", seed=seed, final=[1.0 + seed])
        record_run("dapo-kl", seed=seed, final=[5.0 + seed], settings={"beta": 0.5})
    by = Request(rows=("algo", "beta"), base="algo = dapo-kl")
    assert "Δ: difference from the base (dapo-kl, beta = 0.5) with its 95 % interval; p by Welch's" in captions.caption(
        build.build(results, by)
    )


def test_nothing_is_promised_that_is_not_there(results, record_run):
    """One run each: no interval, no test, no column p."""
    record_run("sac", final=[1.0])
    record_run("dapo-kl", final=[2.0])
    table = build.build(results, Request(Choice(), base="algo = sac"))
    assert captions.caption(table).endswith("Δ: difference from the base (sac).")
    assert "p" not in listings.results(table).columns


def test_a_difference_that_rounds_to_zero_has_no_sign(results, record_run):
    for seed in range(3):
        record_run("sac", seed=seed, final=[1000.0 + seed])
        record_run("dapo-kl", seed=seed, final=[999.99 + seed])
        record_run("ampo", seed=seed, final=[1000.01 + seed])
    table = build.build(results, Request(base="algo = sac"))
    texts = {row[0]: cell_text.difference_text(table, cell).partition(" ")[0] for (row, _), cell in table.cells.items()}
    assert texts == {"sac": "–", "dapo-kl": "0", "ampo": "0"}


@pytest.fixture
def dapo_out(capsys, monkeypatch, tmp_path):
    """The lines that a command prints."""
    from dapo_cli.app import main

    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: str) -> list[str]:
        assert main([*arguments, "--db", str(tmp_path / "runs.db")]) == 0
        return capsys.readouterr().out.splitlines()

    return run
