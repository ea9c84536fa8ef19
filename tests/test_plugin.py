"""docs/plugin.md, done as it says: its files, its commands, dapo's contract on its algorithm; and broken plug-ins."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch

import algorithms
from algorithms.core import mirror_maps
from dapo_cli.app import main
from dapo_cli.configuration import run_configuration
from dapo_cli.errors import BadInput
from store import frames
from store.session import Database

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "plugin.md").read_text(encoding="utf-8")
PIP = (
    "python -m pip install --quiet --no-build-isolation --no-index"  # what the page needs is there, nothing is fetched
)


def block(language: str, number: int = 0) -> str:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[number]


@pytest.mark.slow
def test_the_page_makes_an_algorithm(install_dapo: Callable[[Path], Path], tmp_path: Path) -> None:
    commands = install_dapo(tmp_path)
    environment = os.environ | {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}
    environment = {name: value for name, value in environment.items() if not name.startswith("PYTHON")}
    package = tmp_path / "forward-kl"
    package.mkdir()
    (package / "pyproject.toml").write_text(block("toml"), encoding="utf-8")
    (package / "forward_kl.py").write_text(block("python"), encoding="utf-8")

    def run(command: str, folder: Path = tmp_path) -> str:
        done = subprocess.run(
            shlex.split(command), cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    lines = block("sh").splitlines()
    assert lines[0] == "pip install ./forward-kl"
    run(f"{PIP} ./forward-kl")
    printed = {line: run(line) for line in lines[1:]}
    assert re.search(r"forward-kl +both +weighted maximum likelihood", printed["dapo algos"])
    assert "actions drawn per state" in printed["dapo algos forward-kl"]
    assert re.search(r"Pendulum-v1\s+forward-kl\s+1 ", printed["dapo compare"])
    (trained, _) = json.loads(run("dapo runs --json --sort algo"))
    assert (trained["algo"], trained["status"], trained["exactness"]) == ("forward-kl", "completed", "exact")

    # The contract, in the clone, as the page says.
    needs, contract = block("sh", 1).splitlines()
    assert needs == "python -m pip install pytest"
    run(f"{PIP} pytest")
    assert re.search(r"\b[1-9]\d passed", run(contract, ROOT))
    run("dapo train --algo forward-kl --env Pendulum-v1 --steps 200 --compile on --set learning_starts=190 -q")


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Makes a plug-in `mine` of one module with this text."""
    modules = algorithms._modules() | {"mine": "my_plug_in"}

    def install(text: str) -> None:
        (tmp_path / "my_plug_in.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(algorithms, "_modules", lambda: modules)
        monkeypatch.delitem(sys.modules, "my_plug_in", raising=False)

    return install


PARTS = "Config, PHASES, critic_step, diagnose, init, noise_samples, refresh, regulariser, schedule"
SAC = f"from algorithms.sac import {PARTS}\n"


def test_an_algorithm_for_one_kind_of_actions_says_so_once(
    plug_in: Callable[[str], None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """In one line that names those that can, before anything is written; and in the list."""
    plug_in(SAC + block("python", 2))
    typed = ["train", "--algo", "mine", "--env", "CartPole-v1", "--db", str(tmp_path / "runs.db")]
    for words in ([], ["--dry-run"]):
        assert main([*typed, *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("dapo: mine does not handle finite actions, which CartPole-v1 has: use --algo ampo or ")
        assert " sac" in line
        assert "or mine" not in line
    assert main(["train", "--algo", "mine", "--env", "Pendulum-v1", "--set", "bins=3"]) == 2
    assert "finite actions, which Pendulum-v1 has with bins" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.db"))
    assert main(["algos", "--json"]) == 0
    known = {one["name"]: one["actions"] for one in json.loads(capsys.readouterr().out)}
    assert (known["mine"], known["sac"]) == (["continuous"], ["continuous", "finite"])


def test_the_page_offers_all_that_an_algorithm_needs(plug_in: Callable[[str], None]) -> None:
    plug_in(block("python"))
    module: Any = run_configuration.load_algorithm("mine")
    assert module.Config(samples=4).samples == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import no_such_module\n", ["'mine'", "No module named 'no_such_module'", "uninstall"]),
        ("raise RuntimeError('two\\nlines')\n", ["'mine'", "RuntimeError: two lines"]),
        ("from algorithms.sac import Config, PHASES, init\n", ["lacks critic_step, diagnose, noise_samples"]),
        (f"{SAC}ACTIONS = 'finite'\n", ["declares ACTIONS = 'finite'", "a set of continuous or finite"]),
        (f"{SAC}ACTIONS = {{'discrete'}}\n", ["declares ACTIONS = {'discrete'}"]),
        (
            "from algorithms.ppo import Config, critic_step, init, policy_step, refresh\nexplore = init\n",
            ["an explore, which learning from rollouts has no use for"],
        ),
    ],
    ids=["import", "raises", "lacks", "text", "unknown kind", "on-policy"],
)
def test_a_broken_plug_in_is_one_line(plug_in: Callable[[str], None], text: str, words: list[str]) -> None:
    plug_in(text)
    with pytest.raises(BadInput) as caught:
        run_configuration.load_algorithm("mine")
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.fixture
def install_map(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Installs a module with this text, whose HalvedEntropy is the mirror map `halved-entropy`."""

    def install(text: str) -> None:
        (tmp_path / "halved_entropy.py").write_text(text, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "halved_entropy", raising=False)
        point = metadata.EntryPoint("halved-entropy", "halved_entropy:HalvedEntropy", mirror_maps.ENTRY_POINT_GROUP)
        points = metadata.EntryPoints([point])
        monkeypatch.setattr(mirror_maps.metadata, "entry_points", lambda **wanted: points.select(**wanted))

    return install


def test_the_mirror_map_of_the_page_trains_and_is_one(install_map: Callable[[str], None], tmp_path: Path) -> None:
    install_map(block("python", 1))
    halved = mirror_maps.of_package("halved-entropy")
    p, r = torch.rand(2, 20, 5, dtype=torch.float64).log_softmax(-1).exp()
    slope = torch.func.grad(lambda r: halved.phi(r).sum())(r)
    torch.testing.assert_close(halved.divergence(p, r), halved.phi(p) - halved.phi(r) - (slope * (p - r)).sum(-1))
    torch.testing.assert_close(halved.project(halved.gradient(p)), p)
    db = str(tmp_path / "runs.db")
    small = "learning_starts=50 batch_size=16 hidden_sizes=[8] mirror=halved-entropy".split()
    typed = ["train", "--algo", "dapo-tsallis", "--env", "CartPole-v1", "--steps", "120", "--eval-episodes", "1", "-q"]
    assert main([*typed, "--db", db, *(word for one in small for word in ("--set", one))]) == 0
    with Database.read(db) as database:
        (run,) = frames.runs(database).to_dict("records")
    assert (run["status"], run["temperature"], run["mirror"]) == ("completed", 0.2, "halved-entropy")


LACKS = "lacks gradient, project, conjugate, divergence, slope"


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("", "halved", "no mirror map is called 'halved': choose one of halved-entropy"),
        ("import nothing_such\n", "halved-entropy", "cannot be loaded (ModuleNotFoundError: No module named"),
        ("class HalvedEntropy:\n    phi = 0\n", "halved-entropy", LACKS),
    ],
    ids=["unknown", "import", "lacks"],
)
def test_a_broken_mirror_map_is_one_line(
    install_map: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    text: str,
    name: str,
    words: str,
) -> None:
    install_map(text)
    typed = ["train", "--algo", "dapo-tsallis", "--env", "CartPole-v1", "--db", str(tmp_path / "runs.db")]
    assert main([*typed, "--set", f"mirror={name}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert not list(tmp_path.glob("*.db"))
