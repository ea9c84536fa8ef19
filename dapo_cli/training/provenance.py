"""What produced a run: command, source, versions, machine. A part of it decides what a resume may promise."""

from __future__ import annotations

import os
import platform
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("dapo-cli", "torch", "numpy", "gymnasium", "mujoco", "sqlalchemy", "pandas")
DETERMINING = (
    "python",
    "torch",
    "numpy",
    "gymnasium",
    "mujoco",
)  # versions that a bit-identical resume needs unchanged


def versions() -> dict[str, str]:
    """Python's and our packages' versions; a missing package is left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def source() -> tuple[str | None, bool | None]:
    """Commit of the clone that dapo runs from, and whether it has uncommitted changes; (None, None) outside a clone."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None, None
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--", "algorithms", "dapo_cli", "store")
    return commit or None, None if changes is None else bool(changes)


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def processor(device: str = "cpu") -> str:
    """The processor's name, as the system calls it; with that of the GPU and CUDA's version if it is the device."""
    if device == "cuda":
        import torch

        return f"{processor()} and {torch.cuda.get_device_name()} (CUDA {torch.version.cuda})"
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def command() -> str:
    """The command line as typed, without the passwords of database URLs."""
    return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", shlex.join(["dapo", *sys.argv[1:]]))


def of_process(device: str) -> dict[str, Any]:
    """Columns of `run` that describe this process and its machine; `device` is the one that it trains on."""
    commit, dirty = source()
    return {
        "command": command(),
        "commit": commit,
        "dirty": dirty,
        "versions": versions(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "processor": processor(device),
    }


def fingerprint(execution: Mapping[str, Any]) -> dict[str, Any]:
    """What must be unchanged for a resume to be exact: versions, processor, and how the update is executed."""
    found = versions()
    same = {name: found.get(name) for name in DETERMINING} | {"processor": processor(execution["device"])}
    return same | dict(execution)


def fingerprint_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """The same from a row of `run`, for a run that left no checkpoint."""
    found = run["versions"] or {}
    columns = ("processor", "device", "threads", "compiled", "backend", "group_size")
    return {name: found.get(name) for name in DETERMINING} | {name: run[name] for name in columns}
