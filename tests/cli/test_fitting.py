"""Tables in terminals of every width: nothing that names a row, and no number, is cut or lost."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dapo_cli.terminal import console, fitting

WIDTHS = (40, 60, 80, 100, 120)


@pytest.fixture
def screen(dapo, monkeypatch):
    """The lines that a command shows on a terminal of a width, and its notices."""
    monkeypatch.setenv("FORCE_COLOR", "1")

    def shown(width: int, *arguments: str) -> tuple[list[str], str]:
        monkeypatch.setenv("COLUMNS", str(width))
        outcome = dapo(*arguments)
        assert outcome.code == 0
        lines = re.sub(r"\x1b\[[0-9;]*m", "", outcome.out).splitlines()
        return [line.rstrip() for line in lines], outcome.err

    return shown


def words(lines: list[str]) -> set[str]:
    return {word for line in lines for word in line.split()}


def tables(lines: list[str]) -> list[list[str]]:
    """The tables one below the other, each its header and its rows."""
    parts = "\n".join(lines).split("\n\n")
    return [[line for line in part.splitlines() if set(line) != {"─"}] for part in parts]


@pytest.mark.parametrize("width", WIDTHS[1:])
def test_every_row_of_a_comparison_is_named_and_every_number_shown(screen, seeds, width):
    for m in (1, 10, 1000):
        seeds("dapo-kl", [3000 + m + 50 * seed for seed in range(5)], settings={"m": m, "beta": 0.5})
    seeds("sac", [3100 + 40 * seed for seed in range(5)])
    arguments = ("compare", "--base", "algo = sac", "--equivalent", "20%", "--by", "m,beta")
    wide = screen(1000, *arguments)[0]
    lines, err = screen(width, *arguments)
    assert all(len(line) <= width for line in lines)
    assert words(wide) - words(lines) <= {wide[1]}  # the rule
    for table in tables(lines):
        header, *rows = table
        assert header.split()[:4] == ["env", "algo", "m", "beta"]
        assert [row.split()[2] for row in rows[:3]] == ["1", "10", "1000"]
        assert {row.split()[0] for row in rows} == {"HalfCheetah-v4"}
    assert "no room" not in err


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "command",
    [
        "compare",
        "compare --base algo=sac --equivalent 20%",
        "compare --pooled --normalise sac",
        "plot curves",
        "plot intervals --normalise sac",
        "power --base algo=sac --width 20%",
        "compute",
        "freeze",
        "algos dapo-kl",
        "presets",
    ],
)
def test_what_a_wide_terminal_shows_a_narrow_one_shows(dapo, screen, seeds, command, width):
    for env in ("HalfCheetah-v4", "Hopper-v4"):
        seeds("dapo-kl", [3000.5, 3100.5, 2900.5, 3000.5, 3050.5], env)
        seeds("sac", [3200.5, 3100.5, 3300.5, 3150.5, 3000.5], env)
    dapo("freeze", "everything-there-is")
    wide, narrow = screen(1000, *command.split())[0], screen(width, *command.split())[0]
    assert [line for line in narrow if len(line) > width and line not in wide] == []  # sentences are not folded
    joined = "".join("".join(narrow).split())
    assert [word for word in words(wide) if not set(word) <= {"─"} and word not in joined] == []


def test_claims_are_set_as_lists(screen, seeds, tmp_path):
    seeds("sac", [1000.0 + seed for seed in range(5)])
    (tmp_path / "claims.toml").write_text(
        '[[claim]]\nname = "P1"\ntext = "Nothing is learned by anyone who learns nothing from anything"\n'
        'envs = ["HalfCheetah-v4", "Hopper-v4"]\nruns = "algo = sac"\nrule = "fails"\nmargin = 0.2\nseeds = 10\n'
    )
    lines, _ = screen(60, "decide", "claims.toml")
    pairs = [tuple(re.split(" {2,}", line, maxsplit=1)) for line in lines]
    assert ("claim", "P1") in pairs
    assert [pair[1] for pair in pairs if pair[0] == "env"] == ["HalfCheetah-v4", "Hopper-v4"]


def test_what_goes_is_named(screen, family):
    assert "no room for tags, age: a wider terminal shows all columns" in screen(60, "runs")[1]
    assert "no room for tags: " in screen(70, "runs", "--limit", "1", "--where", "tag = low")[1]
    assert "no room" not in screen(120, "runs")[1]


def test_later_tables_leave_out_rows_that_they_say_nothing_of(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "12")
    console.print_table(
        ("algo", "n", "mean"), [("sac", "5", "10000"), ("mdpo", "0", "")], right=("n", "mean"), keys=("algo",)
    )
    text = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert [table[1:] for table in tables(text.splitlines())] == [["sac   5", "mdpo  0"], ["sac   10000"]]


def test_elsewhere_nothing_folds(dapo, family, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    header, _, *rows = dapo("compare", "--by", "m,beta").out.splitlines()
    assert header.split()[:4] == ["env", "algo", "m", "beta"]
    assert len(rows) == 4


_CELLS = st.text(st.sampled_from("ab- 0123中"), max_size=30)


@given(
    st.integers(1, 6).flatmap(lambda n: st.lists(st.lists(_CELLS, min_size=n, max_size=n), min_size=1, max_size=5)),
    st.integers(1, 120),
    st.sets(st.integers(0, 5)),
    st.sets(st.integers(0, 5)),
    st.lists(st.integers(0, 5), unique=True, max_size=2),
)
@example([["a" * 30, "b"]], 10, set(), {0}, [])
def test_columns_fit_and_none_is_lost(texts, width, whole, keys, droppable):
    count = len(texts[0])
    setting = fitting.arrange(texts, width, whole=whole, keys=keys, droppable=[i for i in droppable if i < count])
    for table in setting.tables:
        assert sum(columns for _, columns in table) + fitting.GAP * (len(table) - 1) <= width
        for index, columns in table:
            widest = max((fitting.cell_len(row[index]) for row in texts[1:]), default=0)
            assert columns >= widest or index not in whole
    if setting.tables:
        shown = [index for table in setting.tables for index, _ in table]
        named = {index for index in range(count) if index in keys}
        assert {*shown, *setting.dropped} == set(range(count))
        assert all({index for index, _ in table} >= named - set(setting.dropped) for table in setting.tables)
        others = [index for index in shown if index not in named]
        assert len(setting.tables) == 1 or all(one < other for one, other in pairwise(others))
    assert set(setting.dropped) <= set(droppable)


@given(_CELLS, st.integers(2, 20))
def test_folded_text_keeps_its_characters(text, width):
    from rich.text import Text

    lines = fitting.folded(Text(text), width).plain
    assert "".join(lines.split()) == "".join(text.split())
