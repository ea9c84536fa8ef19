"""dapo plot: figures as files, their numbers as data."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dapo_cli import files
from dapo_cli.errors import BadInput

SIGNATURES = {"pdf": b"%PDF-", "svg": b"<?xml", "png": b"\x89PNG", "pgf": b"% Needs: \\usepackage{pgf}"}


@pytest.fixture
def family(record_run) -> list[str]:
    """Two algorithms on two environments, three seeds each; a failed run."""
    ids = []
    for seed in range(3):
        for env in ("HalfCheetah-v4", "Hopper-v4"):
            ids.append(record_run(env=env, seed=seed, final=[100.0 + seed], episodes=range(5)))
            ids.append(record_run("dapo-kl", env, seed=seed, final=[200.0 + seed], settings={"beta": 0.5}))
    ids.append(record_run(status="failed", seed=3))
    return ids


def test_a_pdf_in_the_current_folder_and_what_is_in_it(dapo, family, tmp_path):
    outcome = dapo("plot")
    assert outcome.code == 0
    said = "Lines: mean of n = 3 runs; bands: pointwise 95 % Student t interval of the mean. 1 run left out: 1 failed."
    assert outcome.err.splitlines() == ["wrote curves.pdf", said]
    header, _, *rows = (line.split() for line in outcome.out.splitlines())
    assert header == ["env", "algo", "n", "steps", "last", "mean", "band"]
    assert rows[0] == ["HalfCheetah-v4", "dapo-kl", "3", "1k", "201.0", "ci"]
    assert len(rows) == 4
    content = Path("curves.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert b"/Subtype /Type3" not in content  # publishers refuse such fonts
    assert b"CreationDate" not in content
    assert {path.name for path in tmp_path.iterdir() if "runs.db" not in path.name} == {"curves.pdf"}


def test_the_same_runs_give_the_same_bytes_in_every_format(dapo, family, tmp_path):
    names = [f"figure.{format_}" for format_ in SIGNATURES]
    assert dapo("plot", *(f"--out={name}" for name in names), "--out=again.SVG").code == 0
    first = {name: Path(name).read_bytes() for name in names}
    for name, signature in zip(names, SIGNATURES.values(), strict=True):
        assert first[name].startswith(signature)
    assert Path("again.SVG").read_bytes() == first["figure.svg"]
    # Alone and in another process with another matplotlibrc: the same.
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nlines.linewidth: 9\nsvg.hashsalt: other\n")
    code = "import sys; from dapo_cli.app import main; [main(['plot', '--out', name]) for name in sys.argv[1:]]"
    subprocess.run([sys.executable, "-P", "-c", code, *names], cwd=tmp_path, check=True, capture_output=True)
    assert {name: Path(name).read_bytes() for name in names} == first


def test_the_figure_says_what_it_shows(dapo, family):
    dapo("plot", "--out", "figure.svg", "--where", "algo = sac")
    comments = re.findall(r"<!-- (.*?) -->", Path("figure.svg").read_text(encoding="utf-8"))
    text = " ".join(comments).replace("\xa0", " ")  # matplotlib says in comments which text it draws as outlines
    for part in ("sac", "Hopper-v4", "evaluation return", "environment steps (×10³)"):
        assert part in text
    assert "Lines: mean of n = 3 runs; bands: pointwise 95 % Student t interval of the mean." in text
    assert "1 run left out: 1 failed." in text
    dapo("plot", "--out", "figure.svg", "--no-caption")
    content = Path("figure.svg").read_text(encoding="utf-8")
    description = re.search(r"<dc:description>(.*?)</dc:description>", content, re.DOTALL)
    assert description
    assert "1 run left out: 1 failed." in description.group(1)
    assert "<!-- Lines: mean" not in content


def test_json_holds_the_numbers_drawn_and_writes_no_file(dapo, family, tmp_path):
    outcome = dapo("plot", "--json", "--by", "beta", "--where", "env ~ Hopper")
    assert outcome.err == ""
    first, second = json.loads(outcome.out)
    assert (first["env"], first["algo"], first["beta"], first["runs"]) == ("Hopper-v4", "dapo-kl", 0.5, 3)
    assert (first["y"], first["band"], first["window"]) == ("return", "ci", None)
    assert (first["step"], first["n"], first["mean"]) == ([500, 1000], [3, 3], [0.0, 201.0])
    (row,) = json.loads(dapo("compare", "--json", "--where", "env ~ Hopper and algo ~ dapo").out)
    assert [first["low"][-1], first["high"][-1]] == pytest.approx([row["low"], row["high"]])
    assert second["beta"] is None
    assert not list(tmp_path.glob("*.pdf"))
    dapo("plot", "--json", "--out", "numbers.png")
    assert Path("numbers.png").exists()


def test_training_returns_and_single_runs(dapo, family):
    outcome = dapo("plot", "--y", "train-return", "--window", "1e3", "--runs", "--out", "a.png", "--json")
    assert outcome.err.splitlines() == ["wrote a.png", "7 runs left out: 6 completed without train-return, 1 failed"]
    assert [(line["algo"], line["window"], line["mean"]) for line in json.loads(outcome.out)] == [
        ("sac", 1000, [2.0]),
        ("sac", 1000, [2.0]),
    ]


def test_unfinished_runs_are_drawn_on_request(dapo, family):
    (line,) = json.loads(dapo("plot", "--json", "--unfinished", "--where", "status = failed").out)
    assert line["runs"] == 1
    outcome = dapo("plot", "--unfinished", "--out", "a.svg")
    assert "1 of the runs drawn is not completed: 1 failed" in outcome.err


def test_hostile_names_are_drawn_not_obeyed(dapo, record_run):
    names = (r"$\frac{1}$", "a_b^c$", "算法-v0", "\x1b[2J\n\u202e", "x" * 200)
    for name in names:
        record_run(env=name, algo=name)
    outcome = dapo("plot", "--out", "a.svg", "--out", "a.pdf", "--out", "a.png", "--out", "a.pgf")
    assert outcome.code == 0
    assert "\x1b" not in outcome.out + outcome.err
    assert outcome.err == "wrote a.svg\nwrote a.pdf\nwrote a.png\nwrote a.pgf\nOne run a line.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--out a.jpg", "--out: a.jpg does not say which kind of figure: let its name end in .pdf, .svg, .png, .pgf"),
        ("--out a", "--out: a does not say which kind of figure"),
        ("--out no/such/a.pdf", "cannot write no/such/a.pdf: No such file or directory"),
        ("--out a.pdf --out no/such/a.pdf", "cannot write no/such/a.pdf"),
        ("--out runs.db/a.pdf", "cannot write runs.db/a.pdf: Not a directory"),
        ("--y retrun", "--y: no run recorded 'retrun': did you mean 'return'"),
        ("--by bta", "no run has a key 'bta': did you mean 'beta'"),
        ("--by beta,,m", "--by: 'beta,,m' has an empty or a repeated key"),
        ("--where seed=9", "no run to draw: see what there is with dapo runs"),
        ("--where status=failed", "no run to draw (1 run left out: 1 failed): see"),
        ("--where seed=9 --unfinished", "no run to draw: see what there is with dapo runs"),
        ("--window 100", "--window: evaluations are not averaged over steps: leave it out, or draw --y train-return"),
        ("--y train-return --window 0", "--window: 0 is not a width: give a number of environment steps"),
        ("--band sem", "invalid value for '--band'"),
    ],
)
def test_bad_input(refused, family, tmp_path, arguments, message):
    before = sorted(tmp_path.iterdir())
    assert refused("plot", *arguments.split()).startswith(message)
    assert sorted(tmp_path.iterdir()) == before


def test_files_are_written_whole_or_not_at_all(tmp_path):
    good, bad = tmp_path / "good.pdf", tmp_path / "folder.pdf"
    good.write_bytes(b"old")
    bad.mkdir()
    with pytest.raises(BadInput, match="is a folder"):
        files.write_files({good: b"new", bad: b"new"})
    assert good.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == [bad, good]


def test_no_home_no_display_no_word_about_caches_and_no_library_too_many(dapo, family, tmp_path, results):
    results.close()
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "MPLCONFIGDIR")}
    environment |= {"HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none", "MPLBACKEND": "nonsense"}
    before = hashlib.sha256(Path("runs.db").read_bytes()).hexdigest()
    code = (
        "import sys; from dapo_cli.app import main; main(['plot']); "
        "print(sorted({'torch', 'alembic', 'gymnasium', 'matplotlib.pyplot'} & set(sys.modules)), file=sys.stderr)"
    )
    process = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    written, said, loaded = process.stderr.splitlines()
    assert (written, loaded) == ("wrote curves.pdf", "[]")
    assert said.endswith("1 run left out: 1 failed.")
    assert hashlib.sha256(Path("runs.db").read_bytes()).hexdigest() == before
