"""`dapo report`, as a user types it."""

from __future__ import annotations

import html
import json
import re

import pytest

from dapo_cli.report import page


def numbers(path):
    """The table that the page holds for programs."""
    (text,) = re.findall(r'<script type="application/json" id="numbers">(.*?)</script>', path.read_text())
    return json.loads(text)


def test_the_page_has_the_numbers_of_compare(dapo, family, tmp_path):
    outcome = dapo("report", "--by", "beta")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "wrote report.html\n")
    assert numbers(tmp_path / "report.html") == json.loads(dapo("compare", "--by", "beta", "--json").out)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".", "report"))] == ["report.html"]


def test_options_choose_the_runs_and_what_is_said_of_them(dapo, family, tmp_path):
    options = ("--tag", "paper", "--measure", "best", "--stat", "median")
    assert dapo("report", *options, "--by", "beta", "--title", "Our <paper>", "--out", "a.html").code == 0
    text = (tmp_path / "a.html").read_text()
    assert numbers(tmp_path / "a.html") == json.loads(dapo("compare", *options, "--by", "beta", "--json").out)
    assert "<h1>Our &lt;paper&gt;</h1>" in text
    command = "dapo report --by beta --measure best --stat median --tag paper --title 'Our <paper>' --db runs.db\n"
    assert command in html.unescape(text)
    ablation = ("--where", "algo = 'dapo-kl' and env ~ Cheetah", "--base", "beta = 0.5", "--vary", "beta")
    assert dapo("report", *ablation, "--out", "b.html").code == 0
    assert "<td>beta = 0.1</td>" in (tmp_path / "b.html").read_text()


def test_the_same_command_gives_the_same_bytes(dapo, family, tmp_path):
    dapo("report")
    before = (tmp_path / "report.html").read_bytes()
    dapo("report", "--db", "runs.db")
    assert (tmp_path / "report.html").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--where", "algo = ppo"], "no run to report"),
        (["--measure", "finl"], "--measure: no measure 'finl'"),
        (["--by", "bata"], "no run has a key 'bata'"),
        (["--selection", "none"], "no selection 'none'"),
        (["--vary", "beta"], "--vary: against which base?"),
        (["--out", "no/where.html"], "cannot write no/where.html"),
        (["--where", "env ~ Cheetah", "--base", "algo = ppo"], "--base: it matches no whole row"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(refused, family, tmp_path, arguments, told):
    before = {path.name for path in tmp_path.iterdir()}
    assert told in refused("report", *arguments)
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_failure_leaves_the_older_page(dapo, refused, family, tmp_path, monkeypatch):
    (tmp_path / "report.html").write_text("older")
    monkeypatch.setattr(page, "render", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert "No space left" in refused("report")
    assert (tmp_path / "report.html").read_text() == "older"
