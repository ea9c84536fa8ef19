"""What is printed while code that is not ours runs."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

from dapo_cli.terminal import console, streams


@pytest.fixture(autouse=True)
def verbosity() -> None:
    console.set_verbosity(0)


def print_in_every_way(text: str) -> None:
    print(text)  # noqa: T201
    sys.stdout.write(f"{text}\n")
    os.write(1, f"{text}\n".encode())
    ctypes.CDLL(None).puts(text.encode())
    subprocess.run(["echo", text], check=True)


def test_prints_go_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    print("before")  # noqa: T201
    with streams.prints_aside(), streams.prints_aside():
        print_in_every_way("aside")
    print_in_every_way("after")
    out, err = capfd.readouterr()
    assert (out.split(), err.split()) == (["before"] + ["after"] * 5, ["aside"] * 5)


def test_with_quiet_they_go_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    console.set_verbosity(-1)
    with streams.prints_aside():
        print_in_every_way("aside")
        console.warning("said")
    console.set_verbosity(0)
    assert capfd.readouterr() == ("", "dapo: warning: said\n")


def test_a_stream_whose_reader_has_left_takes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream, streams.prints_aside():  # noqa: PTH123
        monkeypatch.setattr(sys, "stderr", streams._Tolerant(stream))
        print("lost", file=sys.stderr, flush=True)  # noqa: T201
        console.warning("lost")
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)  # else closing it would raise
