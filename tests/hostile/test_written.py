"""Whatever stands in a database, a table of it in any format is that table, and a report of it is that page."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from inputs import EXAMPLES, NASTY, hostile, storable, tried
from readers import READERS, csv_rows, html, json_object, report

from dapo_cli.analysis.comparison.request import Request
from dapo_cli.analysis.export.parse import tables_in
from dapo_cli.analysis.export.sheets import Sheet, Style
from dapo_cli.analysis.export.table_export import make
from dapo_cli.analysis.export.writers import FORMATS
from dapo_cli.interchange import exporting
from dapo_cli.report import page
from dapo_cli.terminal.console import visible
from store.records import runs
from store.transfer.redaction import Redaction

OTHERS = ("\\end{tabular}\\input{x}", "--> <b>", "| a |\n|---|", "=1+1", "dapo table 00000000 ends", "^^5cinput", "$x$")
storable_nasty = [text.encode("utf-8", "replace").decode() for text in NASTY + OTHERS]
texts = st.one_of(storable, st.sampled_from(storable_nasty))


@pytest.fixture
def sheet(results, record_run) -> Sheet:
    """A table of two by two, with a footnote."""
    for env in ("a", "b"):
        for algo in ("c", "d"):
            for seed in range(3):
                record_run(algo, env, seed=seed, final=[float(seed)])
    record_run("c", "b", seed=4, status="failed", reason="no", final=None)
    return make(results, Request(), Style()).sheet


@pytest.mark.parametrize("format_", FORMATS)
def test_tables(sheet, format_):
    @hostile
    @given(words=st.lists(texts, min_size=10, max_size=10))
    @example(words=storable_nasty[:10])
    @example(words=storable_nasty[-10:])
    @example(words=["\r"] * 10)
    def attempt(words):
        dressed = clothed(sheet, words)
        text = FORMATS[format_](dressed)
        READERS[format_](text)
        if format_ == "html":
            shown = html(text)
            assert (shown.tags.count("tr"), shown.tags.count("td")) == (3, 4)
            assert all(words in shown.text for words in (*dressed.rows[0], *dressed.cols, dressed.caption))
        if format_ == "markdown":
            assert len([line for line in text.split("\n") if line.startswith("|")]) == 4
        if format_ == "csv":
            told = [(row["key"], row["algo"], row["note"], row["command"]) for row in csv_rows(text)]
            assert told == [(cell["key"], words[0], words[6], dressed.command) for cell in dressed.records]
        if format_ == "json":
            cells = json_object(text)["cells"]
            assert [cell["algo"] for cell in cells] == [words[0]] * 4
        if "dapo table" not in text.replace(f"dapo table {dressed.export}", ""):  # else a text quotes a table
            (found,) = tables_in(text)
            assert (found.export, found.command) == (dressed.export, dressed.command)

    attempt()


def clothed(sheet: Sheet, words: list[str]) -> Sheet:
    """The sheet with these texts for its labels, columns, headings, caption, notes, command and symbol."""
    shown = [visible(word) for word in words]
    return replace(
        sheet,
        rows=((shown[0],), (shown[1],)),
        cols=(shown[2], shown[3]),
        headings=(shown[4],),
        caption=shown[5],
        below=(shown[6], f"a: {shown[7]}"),
        command=shlex.join(["dapo", "table", "--where", words[8]]),
        symbols=frozenset(filter(None, shown[9:])),
        records=[{**record, "algo": words[0], "note": words[6]} for record in sheet.records],
    )


@pytest.mark.parametrize("format_", FORMATS)
def test_a_table_of_such_names_is_verified_as_it_was(results, record_run, place, tame, format_):
    for seed, name in enumerate([*storable_nasty, "\r", "a\r\nb"]):
        record_run(name, "e", seed=seed, final=[float(seed)], tags=[name], settings={"gamma": name})
    for options in (["--rows", "algo", "--cols", "env"], ["--rows", "algo,gamma", "--cols", "tag"]):
        assert tame("table", *options, "--format", format_, "--out", "table") == 0
        assert tame("verify", "table") == 0
    (place / "table").write_bytes((place / "table").read_bytes().replace(b"\n", b"\r\n"))
    assert format_ == "csv" or tame("verify", "table") == 0


@pytest.fixture
def poisoned(results, record_run):
    """A function that puts texts where tables, reports and exports show them, and takes the older ones away."""
    settings = {"beta": 0.5, "layer_norm": True}
    for env in ("a", "b"):
        record_run("c", env, settings=settings, tags=["t"], episodes=[1.0, 2.0], metrics={"q": [1.0]}, note="n")
    record_run("c", "a", seed=1, settings=settings, status="diverged", reason="x", final=None)

    def poison(words: list[str]) -> None:
        values = dict(zip(("w0", "w1", "w2", "w3", "w4"), words, strict=True))
        with results.transaction() as session:
            execute = session.connection().exec_driver_sql
            run = "algo = :w0, env = substr(env, 1, 1) || :w1, note = :w2, reason = :w3, command = :w4, versions = :w2,"
            run += " \"commit\" = :w3, processor = :w4, host = :w2, source = NULLIF(:w3, '')"
            execute(f"UPDATE run SET {run}", values)
            execute("UPDATE hyperparameter SET name = 'x' || :w3, symbol = :w1 WHERE name <> 'layer_norm'", values)
            execute("UPDATE hyperparameter SET value = json_quote(:w4), type = 'str' WHERE name = 'layer_norm'", values)
            execute("UPDATE tag SET tag = :w2", values)

    return poison


REQUESTS = (
    (Request(), False),
    (Request(rows=("algo", "tag"), cols=("env",)), False),
    (Request(), True),
)


@tried(max(8, EXAMPLES // 20))  # each is sixteen files
@given(words=st.lists(texts, min_size=5, max_size=5))
@example(words=["<script>alert(1)</script>", "</script><!--", "]]>", "javascript:x", "\u2028"])
@example(words=list(OTHERS[:5]))
def test_databases(results, poisoned, words):
    poisoned(words)
    for request, hyperparameters in REQUESTS:
        sheet = make(results, request, Style(hyperparameters=hyperparameters)).sheet
        for format_, check in READERS.items():
            check(FORMATS[format_](sheet))
    report(page.render(results, Request()).decode())


@hostile
@given(words=st.lists(texts, min_size=5, max_size=5))
@example(words=["=1+1", '"', ",", "\r", "\n"])
def test_csv_exports(results, poisoned, tmp_path_factory, words):
    """Text stands as it is, but for the folders of paths in it: docs/interchange.md says so."""
    poisoned(words)
    folder = tmp_path_factory.mktemp("export") / "out"
    exporting.export(results, runs.listing(results), "csv", folder)
    told = csv_rows((folder / "runs.csv").read_bytes().decode())
    assert {(row["algo"], row["note"], row["reason"], row["command"]) for row in told} == {
        (words[0], *map(Redaction().text, words[2:]))
    }
    assert {tag for row in told for tag in json.loads(row["tags"])} == {words[2]}
    settings = csv_rows((folder / "hyperparameters.csv").read_bytes().decode())
    assert {row["name"] for row in settings} == {f"x{words[3]}", "layer_norm"}
