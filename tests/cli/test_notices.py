"""Notices: commands as they can be typed, prose that no word is broken in."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from dapo_cli.terminal import console, notices


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The script that started this process, in an environment below the current folder; it is not on the path."""
    place = tmp_path / ".venv" / "bin" / "dapo"
    place.parent.mkdir(parents=True)
    place.write_text("#!/bin/sh\n")
    place.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(place)])
    monkeypatch.setenv("PATH", os.defpath)
    return place


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("next: dapo show 5fb8ba", "next: .venv/bin/dapo show 5fb8ba"),
        ("none (see dapo runs)", "none (see .venv/bin/dapo runs)"),
        ("dapo: warning: no dapo of yours", "dapo: warning: no dapo of yours"),
        ("import it: dapo import x; ./dapo runs", "import it: .venv/bin/dapo import x; ./dapo runs"),
    ],
)
def test_a_command_is_as_it_can_be_typed(script, capsys, text, typed):
    console.info(text)
    assert capsys.readouterr().err == f"{typed}\n"


def test_the_script_of_another_folder_is_named_whole_and_quoted(script, monkeypatch, tmp_path):
    (tmp_path / "else where").mkdir()
    moved = script.rename(tmp_path / "else where" / "dapo")
    monkeypatch.setattr(sys, "argv", [str(moved)])
    monkeypatch.chdir(script.parent)
    assert notices.typeable("dapo runs") == f"'{moved}' runs"


def test_one_that_is_on_the_path_is_called_dapo(script, monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "dapo").symlink_to(script)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert notices.typeable("dapo runs") == "dapo runs"
    (tmp_path / "bin" / "dapo").unlink()
    (tmp_path / "bin" / "dapo").write_text("#!/bin/sh\n")  # of another installation
    (tmp_path / "bin" / "dapo").chmod(0o755)
    notices.program.cache_clear()
    assert notices.typeable("dapo runs") == ".venv/bin/dapo runs"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [40, 60, 80])
def test_prose_is_folded_between_words_and_a_command_stays_whole(monkeypatch, width):
    prose = "final return: mean ± standard deviation over the evaluation's episodes, played with mean actions: "
    command = "dapo resume 5fb8ba --db some/where/a-long-name-of-a-database.db --with many --options"
    for text in (prose, prose + command):
        screen = Terminal()
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setenv("COLUMNS", str(width))
        console.info(text)
        lines = screen.getvalue().splitlines()
        assert " ".join(lines).split() == text.split()
        assert all(len(line) <= width for line in lines if not line.startswith("dapo"))
        assert (lines[-1] == command) == text.endswith(command)


def test_a_pipe_gets_one_line(capsys):
    console.info("word " * 100)
    assert capsys.readouterr().err.count("\n") == 1


def test_a_printed_name_can_be_typed(dapo, family):
    assert "use it as --selection 'my paper'\n" in dapo("freeze", "my paper", "--tag", "paper").err
    tiny = "--algo sac --env Pendulum-v1 --steps 300 --seeds 1 --enqueue".split()
    assert dapo("sweep", *tiny, "--name", "two words").code == 0
    for action in ("pause", "resume", "retry", "cancel"):
        assert "'two words'" in dapo("sweep", action, "two words").err
