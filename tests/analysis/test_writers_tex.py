"""Every kind of table goes through pdflatex with nothing but the packages that its first comment names."""

from __future__ import annotations

import math
import re
import shutil
import subprocess

import pytest

from dapo_cli.analysis.comparison.request import Margin, Request
from dapo_cli.analysis.export.sheets import Style
from dapo_cli.analysis.export.table_export import make
from dapo_cli.analysis.selection.selected import Choice
from store.records import runs

HOSTILE = "a&b_c%d$e#f{g}h~i^j\\k|l<m>n`\"'[x]*--?`éßøşñĥ中文😀‮β₀\x1b\n\\input{/etc/passwd}"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed: see .ci/run"),
]


@pytest.fixture
def tables(results, record_run):
    """The LaTeX of a table of each kind, by name."""
    envs = ("Ant-v4", "HalfCheetah-v4", "Hopper-v4", "Humanoid-v4", "Walker2d-v4")
    for index, env in enumerate(envs):
        for algo, level in (("sac", 9000.0), ("mdpo", 8990.0), ("ampo", -120.5)):
            for seed in range(3 if index == 1 else 5):
                status = "diverged" if (seed, algo, index) == (0, "mdpo", 0) else "completed"
                record_run(algo, env, seed=seed, final=[level + 5 * seed], status=status, settings={"gamma": 0.99})
    symbols = [("beta", 0.5, "β"), ("m", 10, "m"), ("target_entropy", -3.0, "H̄"), ("initial_temperature", 0.2, "τ₀")]
    for beta in (0.1, 0.5):
        for seed in range(5):
            rows = [
                {"name": name, "value": beta if name == "beta" else value, "origin": "command line", "symbol": symbol}
                for name, value, symbol in symbols
            ]
            run = {
                "algo": "dapo-kl",
                "env": "Pusher-v5",
                "seed": seed,
                "steps": 10,
                "id": f"{seed:015x}{int(10 * beta)}",
            }
            id_ = runs.create(results, run=run, hyperparameters=rows)
            record_rows(results, id_, -40.0 * beta - seed)
    record_run("sac", HOSTILE, final=[math.nan], settings={"text": HOSTILE}, tags=[HOSTILE])
    record_run("sac", HOSTILE, final=[1.0], status="failed", reason="x", settings={"text": HOSTILE})
    five, pusher, hostile = (
        Choice(where=text) for text in ("steps = 1000 and text = null", "steps = 10", "text != null")
    )
    kinds = {
        "wide and so in blocks": (Request(five), Style()),
        "std": (Request(Choice(where="env in ('Ant-v4', 'Hopper-v4')")), Style(spread="std")),
        "values": (Request(five), Style(spread="none", digits=1)),
        "base": (Request(five, base="algo = sac", equivalent=Margin.parse("20%")), Style()),
        "ablation": (Request(pusher, base="beta = 0.5", vary=("beta",)), Style()),
        "keys": (Request(pusher, rows=("beta", "m"), cols=("target_entropy",)), Style()),
        "pooled": (Request(five, cols=(), normalise="sac", statistic="iqm"), Style()),
        "hyperparameters": (Request(Choice(where="text = null"), allow=("steps",)), Style(hyperparameters=True)),
        "hostile": (Request(hostile), Style()),
        "hostile rows": (Request(hostile, rows=("env", "tag", "text"), cols=()), Style()),
        "hostile settings": (Request(hostile), Style(hyperparameters=True)),
    }
    return {
        name: make(results, request, Style("latex", style.spread, style.digits, style.hyperparameters)).text
        for name, (request, style) in kinds.items()
    }


def record_rows(results, id_, value):
    from store.records.recorder import Recorder

    recorder = Recorder(results, id_)
    recorder.evaluation(10, "mean", 0, value, 1)
    recorder.progress(10, 1.0)
    recorder.close("completed")


def compiled(folder) -> str:
    """What pdfLaTeX says of tables.tex in this folder."""
    process = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "tables.tex"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    log = process.stdout.decode("utf-8", "replace")
    assert process.returncode == 0, log[-3000:]
    return log


def test_tables_that_are_larger_than_a_page_compile(results, record_run, tmp_path):
    for number in range(9):
        settings = {f"setting_{index}": [index + number / 3] * 4 for index in range(30)}
        for env in ("Ant-v4", "HalfCheetah-v4"):
            rows = {**settings, "gamma": 0.99, "bins": number if env == "Ant-v4" else 2}
            record_run(f"algorithm-{number}", env, final=[100.0 * number], settings=rows)
    styles = (Style("latex", hyperparameters=True), Style("latex"))
    texts = [make(results, request, style).text for style in styles for request in (Request(), Request(rows=("bins",)))]
    head = "\\documentclass{article}\n\\usepackage{booktabs,longtable,siunitx}\n\\begin{document}\n"
    (tmp_path / "tables.tex").write_text(f"{head}{''.join(texts)}\\end{{document}}\n", encoding="utf-8")
    compiled(tmp_path)
    log = compiled(tmp_path)  # a longtable finds its widths in the second run
    assert "Overfull" not in log
    assert "Float too large" not in log


@pytest.mark.parametrize("siunitx", [r"\usepackage{siunitx}", r"\usepackage{siunitx}[=v2]"], ids=["v3", "v2"])
def test_every_kind_of_table_compiles(tables, tmp_path, siunitx):
    packages = {line for text in tables.values() for line in re.findall(r"\\usepackage\{\w+\}", text.splitlines()[0])}
    assert packages == {r"\usepackage{booktabs}", r"\usepackage{siunitx}"}
    body = "\n".join(f"{text}\n\\clearpage" for text in tables.values())
    head = f"\\documentclass{{article}}\n\\usepackage{{booktabs}}\n{siunitx}\n\\begin{{document}}\n"
    document = f"{head}{body}\n\\end{{document}}\n"
    (tmp_path / "tables.tex").write_text(document, encoding="utf-8")
    log = compiled(tmp_path)
    assert "Missing character" not in log
    assert "siunitx Warning" not in log
    first_hostile = min(index for index, name in enumerate(tables) if "hostile" in name)
    pages = re.split(r"\[\d+[\]{]", log)
    assert "Overfull" not in "".join(pages[:first_hostile])  # a long name without a blank may stand out
    assert re.search(rf"Output written on tables.pdf \({len(tables)} pages", log)
