"""The rivals of benchmarks/peers.py, each installed at a pinned version into an environment of its own under the cache.

CleanRL is no package for this Python: its script runs as it is, from a clone of its repository at a pinned commit, with
the versions of Gymnasium and MuJoCo that it is written for.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path

TORCH = f"torch=={version('torch').partition('+')[0]}"
OURS = [TORCH, f"gymnasium[mujoco]=={version('gymnasium')}", *(f"{p}=={version(p)}" for p in ("mujoco", "numpy"))]
PINS = {
    "stable-baselines3": ["stable-baselines3==2.9.2", *OURS],
    "sbx": ["sbx-rl==0.28.0", "stable-baselines3==2.9.2", "jax==0.10.2", "flax==0.12.8", *OURS],
    "cleanrl": ["gymnasium==0.29.1", "mujoco==2.3.7", "imageio<3", "numpy<2", "tyro", "tensorboard", TORCH],
}
CLEANRL, COMMIT = "https://github.com/vwxyzjn/cleanrl", "fe8d8a03c41a7ef5b523e2e354bd01c363e786bb"


class NotInstalledError(Exception):
    """A rival could not be had here; the message says why."""


def folder() -> Path:
    """Where the environments are kept between calls."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dapo" / "peers"


def python_of(rival: str) -> Path:
    """The interpreter of the rival's environment, which is made at the first call. Raises NotInstalledError."""
    pins = PINS[rival]
    home = folder() / f"{rival}-{hashlib.sha256(repr((pins, sys.version)).encode()).hexdigest()[:8]}"
    ready = home / "ready"
    if not ready.exists():
        print(f"installing {rival} into {home}", file=sys.stderr, flush=True)
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home, with_pip=True)
        _run([str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", *pins])
        ready.touch()
    return home / "bin" / "python"


def cleanrl_script() -> Path:
    """CleanRL's SAC for continuous actions, cloned at the first call. Raises NotInstalledError."""
    clone = folder() / f"cleanrl-clone-{COMMIT[:8]}"
    script = clone / "cleanrl" / "sac_continuous_action.py"
    if not script.exists():
        shutil.rmtree(clone, ignore_errors=True)
        _run(["git", "clone", "--quiet", "--no-checkout", CLEANRL, str(clone)])
        _run(["git", "-C", str(clone), "checkout", "--quiet", COMMIT])
    return script


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise NotInstalledError(f"{' '.join(command[:3])} …: {last}")
