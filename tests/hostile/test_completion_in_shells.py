"""The TAB key in real shells: what a database plants is not run, and honest names are still offered."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from store.records import runs
from store.session import Database

pytestmark = pytest.mark.slow

PLANTED = (r"\$(touch PLANTED)", "$(touch PLANTED)", "`touch PLANTED`", r"\`touch PLANTED\`", "a'\"$(touch PLANTED)\"'")
PATIENCE = 60.0  # seconds for a shell to answer, on a machine however busy

SHELLS = {
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -u -D; source {script}\n"),
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source {script}\n"),
    "fish": (["fish", "--no-config", "-i"], "source {script}\n"),
}


@pytest.fixture
def planted(place: Path) -> str:
    """The id of an honest run in a database whose other names are commands."""
    with Database.write("runs.db") as database:
        run = {"algo": "sac", "env": "Pendulum-v1", "seed": 0, "steps": 1}
        honest = runs.create(database, run={**run, "algo": PLANTED[0], "env": PLANTED[1]}, tags=[*PLANTED, "honest"])
        for number, word in enumerate(PLANTED):
            runs.create(database, run={**run, "id": f"{honest[:2]}{word}", "algo": word, "env": word, "seed": number})
    return honest


def script_for(shell: str, place: Path) -> Path:
    """What `dapo --show-completion` prints for this shell."""
    shown = subprocess.run(
        ["dapo", "--show-completion", shell],
        env=environment(place) | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    script = place / f"completion.{shell}"
    script.write_text(shown.stdout)
    return script


def environment(place: Path) -> dict[str, str]:
    folders = [str(Path(sys.executable).parent), os.environ["PATH"]]
    kept = {"PATH": os.pathsep.join(folders), "HOME": str(place), "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    return kept | {"PS1": "ready> ", "COLUMNS": "300", "LINES": "60"}


class Terminal:
    """A shell at a pseudo-terminal, as a user sits before it."""

    def __init__(self, command: list[str], place: Path) -> None:
        self.screen = ""
        child, self._descriptor = pty.fork()
        if child == 0:
            os.chdir(place)
            os.execvpe(command[0], command, environment(place))
        self._child = child

    def type(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    def wait_for(self, word: str, seconds: float = PATIENCE) -> bool:
        """Reads until the screen shows the word."""
        deadline = time.monotonic() + seconds
        while word not in self.screen and time.monotonic() < deadline:
            if select.select([self._descriptor], [], [], 0.2)[0]:
                self.screen += os.read(self._descriptor, 65536).decode(errors="replace")
        return word in self.screen

    def close(self) -> None:
        os.close(self._descriptor)  # hangs up
        os.waitpid(self._child, 0)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("words", ["dapo show {run}", "dapo compare --tag h", "dapo compare --tag ", "dapo show "])
def test_a_tab_runs_nothing(shell: str, words: str, planted: str, place: Path) -> None:
    assert shutil.which(shell), f"{shell} is missing: .ci/run installs it"
    command, prepare = SHELLS[shell]
    terminal = Terminal(command, place)
    try:
        terminal.type(prepare.format(script=script_for(shell, place)) + "echo set''up\n")
        assert terminal.wait_for("setup"), terminal.screen
        typed = words.format(run=planted[:6])
        terminal.type(f"{typed}\t\t")
        expected = planted[6:] if "{run}" in words else "onest" if words.endswith("h") else "honest"
        expected = planted if words == "dapo show " else expected
        assert terminal.wait_for(expected), terminal.screen
    finally:
        terminal.close()
    assert not list(place.glob("*PLANTED*")), terminal.screen


def test_what_fish_offers(planted: str, place: Path) -> None:
    script = script_for("fish", place)
    asked = f"source {script}; complete --do-complete 'dapo show '; complete --do-complete 'dapo compare --tag '"
    done = subprocess.run(
        ["fish", "--no-config", "-c", asked],
        cwd=place,
        env=environment(place),
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == [planted, "honest"]
    assert not list(place.glob("*PLANTED*"))
