"""The frame: help, versions, errors, lazy commands, completion."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import dapo_cli
from dapo_cli import app
from dapo_cli.errors import Interrupted, RunFailed
from dapo_cli.terminal import console

ROOT = Path(dapo_cli.__file__).parent.parent
COMMANDS = sorted(file.stem.rstrip("_").replace("_", "-") for file in app.COMMANDS.glob("[!_]*.py"))


def python(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def dapo_process(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return python("-P", "-m", "dapo_cli", *arguments, cwd=cwd, **environment)


def test_help_lists_every_command(dapo):
    outcome = dapo("--help")
    assert (outcome.code, outcome.err) == (0, "")
    for command in COMMANDS:
        assert f"\n  {command} " in outcome.out
    assert dapo() == outcome
    assert dapo("-h") == outcome


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_a_line_in_the_list(dapo, command):
    stem = command.replace("-", "_")
    (file,) = (file for file in app.COMMANDS.glob("[!_]*.py") if file.stem.rstrip("_") == stem)
    docstring = ast.get_docstring(ast.parse(file.read_text()))
    assert docstring.endswith(".")
    assert docstring.partition("\n")[0].endswith(".")
    outcome = dapo(command, "--help")
    assert outcome.code == 0
    assert f"Usage: dapo {command}" in outcome.out


def test_help_loads_nothing_heavy(tmp_path):
    heavy = {"rich", "sqlalchemy", "pandas", "numpy", "scipy", "torch", "pydantic", "gymnasium", "alembic"}
    code = (
        f"import sys; from dapo_cli.app import main; main(['--help']); sys.exit({heavy} & sys.modules.keys() or None)"
    )
    finished = python("-c", code, cwd=tmp_path)
    assert (finished.returncode, finished.stderr) == (0, "")


def test_looking_never_loads_torch_or_pandas(tmp_path, record_run, results):
    run_id = record_run()
    commands = [["runs"], ["show", run_id], ["compare"], ["table"], ["db", "info"], ["delete", run_id, "--yes"]]
    code = (
        f"import sys; from dapo_cli.app import main; codes = [main(command) for command in {commands}];"
        "sys.exit(repr((codes, {'torch', 'pandas', 'alembic'} & sys.modules.keys())))"
    )
    assert python("-c", code, cwd=tmp_path).stderr.splitlines()[-1] == "([0, 0, 0, 0, 0, 0], set())"


def test_version(dapo):
    outcome = dapo("--version")
    assert outcome.code == 0
    assert [line.split()[0] for line in outcome.out.splitlines()] == ["dapo", "python", *app.LIBRARIES]
    assert outcome.out.startswith(f"dapo {dapo_cli.__version__}\n")


def test_a_process_of_its_own(tmp_path):
    good = dapo_process("--version", cwd=tmp_path)
    assert (good.returncode, good.stderr) == (0, "")
    bad = dapo_process("runs", cwd=tmp_path)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.startswith("dapo: no results database at runs.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("rnus", "unknown command 'rnus': did you mean 'runs'?"),
        ("zzz", "unknown command 'zzz': choose from "),
        ("--xyz", "no such option: --xyz (see dapo --help)"),
        ("runs --wher x", "no such option: --wher (Possible options: --help, --where) (see dapo runs --help)"),
        ("runs --limit x", "invalid value for '--limit': "),
        ("runs --limit 0", "invalid value for '--limit': "),
        ("runs extra", "got unexpected extra argument(s) (extra) (see dapo runs --help)"),
        ("show", "missing argument 'RUN' (see dapo show --help)"),
        ("runs --where", "option '--where' requires an argument"),
        ("table --format pdf", "invalid value for '--format': 'pdf' is not one of 'latex', 'csv', "),
        ("table --spread all", "invalid value for '--spread': 'all' is not one of 'interval', 'std', 'none' (see "),
        ("plot --band x", "invalid value for '--band': 'x' is not one of 'ci', 'std', 'minmax', 'none' (see "),
        ("plot --style x", "invalid value for '--style': 'x' is not one of 'column', 'page' (see dapo plot --help)"),
        ("train --steps x", "invalid value for '--steps': 'x' is not a whole number; write it as 20000 or 2e4 (see "),
        ("train --seed x", "invalid value for '--seed': 'x' is not a whole number; write one such as 0 (see "),
        ("train --threads x", "invalid value for '--threads': 'x' is not a whole number; write one such as 4 (see "),
        ("db", "missing command (see dapo db --help)"),
        ("db inf", "no such command 'inf'. Did you mean 'info'? (see dapo db --help)"),
    ],
)
def test_a_mistyped_command_line(refused, arguments, message):
    assert refused(*arguments.split()).startswith(message)


def test_control_characters_of_the_command_line_are_shown_not_obeyed(refused):
    assert refused("\x1b[31mred\n").startswith(r"unknown command '\x1b[31mred '")


def test_signals_and_failures_have_their_exit_codes(dapo, monkeypatch):
    for raised, code, line in [
        (KeyboardInterrupt(), 130, "dapo: interrupted\n"),
        (Interrupted("stopped: dapo resume 123456", 15), 143, "dapo: stopped: dapo resume 123456\n"),
        (RunFailed("the run\ndiverged"), 1, "dapo: the run diverged\n"),
    ]:

        def fail(*_: object, error: BaseException = raised) -> None:
            raise error

        monkeypatch.setattr("dapo_cli.commands.runs.database_location", fail)
        assert dapo("runs") == (code, "", line)


def test_a_bug_is_not_hidden(dapo, monkeypatch):
    monkeypatch.setattr("dapo_cli.commands.runs.database_location", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        dapo("runs")


@pytest.mark.parametrize("command", ["--version", "show"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_seen_enough(tmp_path, record_run, command, unbuffered):
    run_id = record_run()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "dapo_cli", command, *([run_id] if command == "show" else [])],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 141


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_on_a_full_disk(tmp_path, unbuffered):
    with Path("/dev/full").open("w") as full:
        finished = subprocess.run(
            [sys.executable, "-P", "-m", "dapo_cli", "--version"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (finished.returncode, finished.stderr) == (2, "dapo: the system refused: No space left on device\n")


def test_quiet_and_verbose_on_either_side_of_the_command(dapo, record_run):
    record_run()
    record_run()
    assert "1 more" in dapo("runs", "--limit", "1").err
    assert dapo("runs", "--limit", "1", "-q").err == ""
    assert dapo("--quiet", "runs", "--limit", "1").err == ""
    dapo("runs", "-v")
    assert console.verbosity() == 1
    dapo("runs")
    assert console.verbosity() == 0


def test_output_that_the_terminal_cannot_show(tmp_path, results, record_run):
    for seed in range(3):
        record_run(seed=seed, final=[seed])
    results.close()
    finished = dapo_process("compare", cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert finished.returncode == 0
    assert r"\xb1 1.00" in finished.stdout


@pytest.fixture
def complete(tmp_path: Path) -> Callable[[str], list[str]]:
    def run(words: str) -> list[str]:
        finished = dapo_process(
            cwd=tmp_path,
            _DAPO_COMPLETE="complete_bash",
            COMP_WORDS=words,
            COMP_CWORD=str(len(words.split(" ")) - 1),
        )
        assert finished.stderr == ""
        return finished.stdout.split()

    return run


def test_completion_commands(complete):
    assert complete("dapo r") == ["resume", "reproduce", "runs", "report"]


def test_completion_options(complete):
    assert complete("dapo runs --wh") == ["--where"]


def test_completion_runs(complete, results, record_run):
    assert complete("dapo show ") == []
    ids = [record_run() for _ in range(3)]
    assert complete("dapo show ") == ids[::-1]
    assert complete(f"dapo show {ids[1][:8]}") == [ids[1]]


def test_completion_runs_of_another_database(complete, results, record_run, tmp_path):
    run_id = record_run()
    results.close()
    (tmp_path / "runs.db").rename(tmp_path / "other.db")
    assert complete("dapo show --db other.db ") == [run_id]


def test_completion_of_names_without_torch(tmp_path):
    code = (
        "import sys; from dapo_cli.options import completion as c;"
        "print(c.algorithms('dapo-t'), c.environments('')[:2], c.environments('CartP'), 'torch' in sys.modules)"
    )
    finished = python("-c", code, cwd=tmp_path)
    assert (
        finished.stdout
        == "['dapo-tsallis'] ['HalfCheetah-v4', 'HalfCheetah-v5'] ['CartPole-v0', 'CartPole-v1'] False\n"
    )


def test_json_has_no_nan():
    value = json.loads(console.json_text({"a": [float("nan"), float("inf"), 1.5], "b": (Path("x"), None, True)}))
    assert value == {"a": [None, None, 1.5], "b": ["x", None, True]}
