"""Datasette in a process of its own, which reads the database as its writers of the moment allow."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from dapo_cli.errors import BadInput
from dapo_cli.interchange.browsing import metadata
from store.connection import access

HOST = "127.0.0.1"  # never another: whoever reaches the port reads everything
_STARTUP = 60.0  # seconds until Datasette must answer
_PAUSE = 0.5  # seconds between two looks at the file


def free_port(port: int) -> int:
    """`port`, or any free one for 0; raises BadInput where another program has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise BadInput(f"--port {port}: {error.strerror}: choose another, or 0 for any free one") from error
        return int(probe.getsockname()[1])


def check_installed() -> None:
    """Raise BadInput where Datasette is missing."""
    if find_spec("datasette") is None:
        raise BadInput("browsing needs a package: pip install 'dapo-cli[browse]'")


def serve(path: Path, location: str, port: int, *, ready: Callable[[str], None], stopped: Callable[[], bool]) -> None:
    """Serve the database until `stopped` says so, asked twice a second; calls `ready` once with the page's address.

    While nobody writes, the file is opened as immutable, which leaves no file beside it; a writer's first sign starts
    Datasette anew without that, as it would read a state that never was. Raises BadInput where it ends by itself.
    """
    from datasette.utils import tilde_encode

    url = f"http://{HOST}:{port}/{tilde_encode(path.stem)}"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dapo-browse-")))
        (folder / "metadata.json").write_text(json.dumps(metadata(path.stem, location)), encoding="utf-8")
        said = False
        while not stopped():
            state = access.state(path)
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen(_command(path, state, port, folder), stdout=log, stderr=log, cwd=folder)
            try:
                _wait_for(process, url, folder, stopped)
                if not said and not stopped():
                    ready(url)
                    said = True
                while not stopped() and (state == access.LIVE or access.state(path) == state):
                    _check(process, folder, stopped)
                    time.sleep(_PAUSE)
            finally:
                _end(process)


def _command(path: Path, state: str, port: int, folder: Path) -> list[str]:
    files = [str(path)] if state == access.LIVE else ["--immutable", str(path)]
    options = ["--host", HOST, "--port", str(port), "--metadata", str(folder / "metadata.json")]
    limits = ["--setting", "sql_time_limit_ms", "10000", "--setting", "max_returned_rows", "10000"]
    return [sys.executable, "-P", "-m", "datasette", "serve", *files, *options, *limits]


def _wait_for(process: subprocess.Popen[bytes], url: str, folder: Path, stopped: Callable[[], bool]) -> None:
    end = time.monotonic() + _STARTUP
    while not stopped():
        _check(process, folder, stopped)
        try:
            with urlopen(f"{url.rpartition('/')[0]}/-/versions.json", timeout=5):
                return
        except (URLError, OSError):
            if time.monotonic() > end:
                raise BadInput(f"Datasette does not answer on {url}: try another --port") from None
            time.sleep(0.1)


def _check(process: subprocess.Popen[bytes], folder: Path, stopped: Callable[[], bool]) -> None:
    if process.poll() is not None and not stopped():  # a Ctrl-C in a terminal reaches both processes
        lines = (folder / "log").read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), f"exit code {process.returncode}")
        raise BadInput(f"Datasette ended ({last.strip()}): try another --port, or install it anew")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
