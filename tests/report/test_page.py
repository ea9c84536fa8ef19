"""The page: what it says, that it is the same each time, and that text from the database stays text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace

import pytest
from reading import Page

from dapo_cli.analysis.comparison import build
from dapo_cli.analysis.comparison.request import Request
from dapo_cli.errors import BadInput
from dapo_cli.report import page
from dapo_cli.terminal import console
from store.records import runs

HOSTILE = "</script><script>alert(1)</script>\u202e<img src=x onerror=alert(2)>&\"'"


def test_the_numbers_are_those_of_the_table(comparison, request_of_all):
    read = Page(page.render(comparison, request_of_all))
    table = build.build(comparison, request_of_all)
    assert read.json("numbers") == json.loads(console.json_text(table.records()))
    shown = [row for row in read.rows["results"] if len(row) > 1]
    assert shown[0] == ["algo", "n", "mean", "95 % interval", "p", "notes"]
    assert [row[:2] for row in shown[1:]] == [["dapo-kl", "6"], ["sac", "7"], ["dapo-kl", "6"], ["sac", "6"]]
    means = {(cell["env"], cell["algo"]): cell["value"] for cell in table.records()}
    assert shown[1][2].startswith(f"{means['Ant-v4', 'dapo-kl']:.0f} ± ")
    assert float(shown[4][2].split(" ± ")[0]) == pytest.approx(means["Hopper-v4", "sac"], abs=0.5)
    assert "a: 1 of 7 runs diverged and counts as a random policy" in read.text


def test_every_run_is_there_and_why_it_does_not_count(comparison, request_of_all):
    read = Page(page.render(comparison, request_of_all))
    known = {run["id"][:6]: run for run in runs.listing(comparison)}
    rows = [row for row in read.rows["runs"] if row[0] in known]
    counted, others = [row for row in rows if len(row) == 10], [row for row in rows if len(row) == 7]
    assert {row[0] for row in counted} == {id_ for id_, run in known.items() if run["status"] != "failed"}
    assert {(row[5], row[6]) for row in others} == {
        ("failed", "no space left on device"),
        ("counts, see the footnotes", "critic_loss is nan"),
    }
    assert all(row[9] == "abcdef0123" for row in counted if known[row[0]]["status"] == "completed")
    assert [line for line in read.text.splitlines() if line.startswith("dapo train ")] == [
        run["command"] for run in sorted(known.values(), key=lambda run: run["created_at"]) if run["command"]
    ]


def test_settings_cost_and_provenance(comparison, request_of_all):
    read = Page(page.render(comparison, request_of_all))
    assert ["gamma", "", "0.99"] in read.rows["settings"]
    assert ["beta", "", "0.5", "dapo-kl (12)"] in read.rows["settings"]
    assert ["beta", "", "–", "sac (13)"] in read.rows["settings"]
    assert ["sac", "2", "14", "0", "12.8k", "12 completed, 1 diverged, 1 failed"] in read.rows["cost"]
    assert "Training took 0.07" in read.text
    assert ["torch", "2.13.0 (24)"] in read.rows["provenance"]
    assert ["commit of dapo", "abcdef0123 (24)"] in read.rows["provenance"]


def test_curves_hold_every_run(comparison, request_of_all):
    data = Page(page.render(comparison, request_of_all)).json("data")
    assert [line["name"] for line in data["lines"]] == ["dapo-kl", "sac"]
    ant, _ = data["panels"]
    assert [line["runs"] for line in ant["lines"]] == [6, 7]
    sac = ant["lines"][1]
    names, grids, values = zip(*sac["single"], strict=True)
    assert names == tuple(f"seed {seed}" for seed in (0, 1, 2, 3, 4, 5, 7))
    assert data["grids"][grids[0]] == [500, 1000]
    last = [value[-1] for value in values]
    assert sac["value"][-1] == pytest.approx(sum(last) / 7, rel=1e-4)
    assert sac["low"][-1] < sac["value"][-1] < sac["high"][-1]


def test_differences_and_improvement_appear_where_they_are_asked_for_or_can_be(comparison, record_run, request_of_all):
    read = Page(page.render(comparison, request_of_all))
    assert "differences" not in read.rows
    assert read.rows["improvement"][1][:4] == ["dapo-kl", "sac", "2", "1.00"]
    against = Page(page.render(comparison, replace(request_of_all, base="algo = 'sac'")))
    assert "Δ" in against.rows["differences"][0]
    assert "Δ" not in against.rows["results"][0]
    few = replace(request_of_all.choice, where="seed < 4")
    assert "improvement" not in Page(page.render(comparison, replace(request_of_all, choice=few))).rows


def test_the_same_runs_give_the_same_bytes(comparison, request_of_all):
    assert page.render(comparison, request_of_all) == page.render(comparison, request_of_all)


def test_the_page_loads_nothing(comparison, request_of_all):
    read = Page(page.render(comparison, request_of_all))
    loading = [
        (tag, name, value)
        for tag, attributes in read.elements
        for name, value in attributes.items()
        if name in ("src", "srcset", "data", "action", "poster", "background", "href", "style") or name.startswith("on")
    ]
    assert all(value and value.startswith("#") for _, _, value in loading)
    assert not re.search(r"@import|url\(|https?:", read.scripts["style"])
    (policy,) = (a["content"] for tag, a in read.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; ")
    for name in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(read.scripts[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}';" in policy
    assert "unsafe" not in policy


def test_without_its_script_the_page_is_complete_and_offers_nothing_that_does_not_work(comparison, request_of_all):
    content = page.render(comparison, request_of_all).decode()
    read = Page(content.encode())
    assert content.count('<path class="line"') == 4 + 2  # in two panels, and in the legend
    buttons = [attributes for tag, attributes in read.elements if tag == "button"]
    assert [name for one in buttons for name in ("disabled", "hidden") if name in one] == [
        "disabled",
        "disabled",
        "hidden",
    ]
    assert [a.get("id") for _, a in read.elements if "hidden" in a] == ["single", None, None, "hint"]


def test_hostile_text_stays_text(results, record_run):
    for seed in range(2):
        record_run(
            HOSTILE, HOSTILE, seed=seed, tags=[HOSTILE], settings={HOSTILE: HOSTILE}, source=HOSTILE, commit=HOSTILE
        )
    record_run(HOSTILE, HOSTILE, seed=2, status="failed", reason=HOSTILE, command=HOSTILE, versions={HOSTILE: HOSTILE})
    content = page.render(results, Request(rows=("algo", "tag")), HOSTILE)
    read = Page(content)
    assert [tag for tag, _ in read.elements].count("script") == 3
    assert "img" not in {tag for tag, _ in read.elements}
    assert "\u202e" not in content.decode()
    assert HOSTILE.replace("\u202e", "\\u202e") in read.text
    assert read.json("data")["panels"]


def test_nothing_to_report_is_said(results, record_run, request_of_all):
    record_run(status="failed", final=None)
    with pytest.raises(BadInput, match=r"no run to report \(1 run left out: 1 failed\)"):
        page.render(results, request_of_all)


def test_one_run_without_interval_is_a_report(results, record_run, request_of_all):
    record_run(final=[float("nan")])
    read = Page(page.render(results, request_of_all))
    assert read.json("numbers")[0]["value"] is None
    assert read.json("numbers")[0]["n"] == 1
