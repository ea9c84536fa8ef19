"""`dapo evaluate --video`: the film shows the first episode, and the episodes stay the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from PIL import Image

from dapo_cli.training.policy import video

STEPS, RATE = 50, 125
TINY = ["--set=hidden_sizes=[8]", "--set=batch_size=4", "--set=learning_starts=20", "--eval-episodes=2", "-q"]


class Shown(gymnasium.Env[np.ndarray, np.ndarray]):
    """An episode of 50 steps; its image is as bright as the episode is old, and 61 by 40."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": RATE}
    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space: gymnasium.Space[Any] = gymnasium.spaces.Box(-2, 2, (1,), np.float32)
    broken = ""

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, **_: Any) -> tuple[np.ndarray, dict[str, Any]]:
        self.state, self.age = np.random.default_rng(seed).uniform(-1, 1, 2).astype(np.float32), 0
        return self.state, {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.age += 1
        return self.state, float(action[0]), False, self.age == STEPS, {}

    def render(self) -> Any:
        if self.broken:
            raise RuntimeError(self.broken)
        return np.full((40, 61, 3), 4 * self.age, np.uint8)


class NotShown(Shown):
    """One that cannot be drawn."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(self) -> None:
        super().__init__()


gymnasium.register("Shown-v0", entry_point=Shown)
gymnasium.register("NotShown-v0", entry_point=NotShown)


@pytest.fixture
def run_of(dapo: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Trains on an environment for a moment; returns the run's id. No MuJoCo is asked what it can draw with."""
    monkeypatch.setenv("MUJOCO_GL", "egl")

    def train(env: str) -> str:
        outcome = dapo("train", "--algo", "sac", "--env", env, "--steps", "40", "--json", *TINY)
        return str(json.loads(outcome.out)["id"])

    return train


def test_an_mp4_has_every_frame_at_the_environments_speed(dapo: Any, run_of: Any, tmp_path: Path) -> None:
    import av

    run_id = run_of("Shown-v0")
    (tmp_path / "film.mp4").write_text("an older one")
    outcome = dapo("evaluate", run_id, "--video", "film.mp4", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["recorded"] == "same"
    assert "wrote film.mp4" in outcome.err
    with av.open(tmp_path / "film.mp4") as film:
        assert film.streams.video[0].average_rate == RATE
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) == STEPS + 1
    assert frames[0].shape == (40, 60, 3)
    assert np.allclose([frame.mean() for frame in frames], 4 * np.arange(STEPS + 1), atol=6)
    assert {path.name for path in tmp_path.iterdir()} == {"film.mp4", "runs.db", "runs.db.files"}


def test_a_gif_keeps_the_speed_with_fewer_frames(dapo: Any, run_of: Any, tmp_path: Path) -> None:
    assert dapo("evaluate", run_of("Shown-v0"), "--sampled", "--video", "film.GIF").code == 0
    with Image.open(tmp_path / "film.GIF") as film:
        durations, brightness = [], []
        for number in range(film.n_frames):  # type: ignore[attr-defined]
            film.seek(number)
            durations.append(film.info["duration"])
            brightness.append(np.asarray(film.convert("RGB")).mean())
    assert sum(durations) == pytest.approx(1000 * (STEPS + 1) / RATE, abs=20)
    assert min(durations) >= 20
    assert np.all(np.diff(brightness) > 0)
    assert brightness[-1] >= 4 * (STEPS - 2)


@pytest.mark.parametrize(
    ("broken", "remedy"),
    [
        ("no EGL here", "cannot draw here: install libegl1"),
        ("pygame is not installed, run `pip install pygame`", "pip install pygame"),
    ],
)
def test_what_cannot_be_drawn_is_one_line_and_leaves_no_film(
    refused: Any, run_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, remedy: str
) -> None:
    run_id = run_of("Shown-v0")
    monkeypatch.setattr(Shown, "broken", broken)
    for name in ("film.mp4", "film.gif"):
        line = refused("evaluate", run_id, "--video", name, "-q")
        assert broken in line
        assert remedy in line
    assert {path.name for path in tmp_path.iterdir()} == {"runs.db", "runs.db.files"}


def test_an_environment_without_images_is_refused(refused: Any, run_of: Any) -> None:
    run_id = run_of("NotShown-v0")
    assert "cannot make NotShown-v0" in refused("evaluate", run_id, "--video", "film.gif")


def test_without_pyav_a_gif_is_the_remedy(refused: Any, run_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    line = refused("evaluate", run_of("Shown-v0"), "--video", "film.mp4")
    assert "pip install 'dapo-cli[video]'" in line


@pytest.mark.parametrize(
    ("works", "chosen", "tried"),
    [("egl", "egl", ["egl"]), ("osmesa", "osmesa", ["egl", "osmesa"]), ("none", None, ["egl", "osmesa"])],
)
def test_what_draws_without_a_display(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, works: str, chosen: str | None, tried: list[str]
) -> None:
    attempts = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        attempts.append(command[-1].partition("mujoco.")[2].partition(" ")[0])
        return subprocess.CompletedProcess(command, 0 if attempts[-1] == works else 1)

    monkeypatch.setattr(video.subprocess, "run", run)
    monkeypatch.setattr(video.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL", "SDL_VIDEODRIVER"):
        monkeypatch.setenv(name, "")  # so that what is set below is taken back
        monkeypatch.delenv(name)
    video.prepare(tmp_path / "film.gif")
    assert attempts == tried
    assert os.environ.get("MUJOCO_GL") == chosen


@pytest.mark.parametrize("name", ["DISPLAY", "MUJOCO_GL"])
def test_a_display_or_the_users_choice_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(video.subprocess, "run", lambda *_, **__: pytest.fail("it was tried"))
    monkeypatch.setenv(name, "egl")
    video.prepare(tmp_path / "film.gif")


@pytest.mark.slow
def test_mujoco_is_filmed_without_a_display(tmp_path: Path) -> None:
    """In a process of its own, since MuJoCo reads the environment's variables when it is imported."""
    import av

    variables = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MUJOCO_GL")}

    def dapo(*arguments: str) -> str:
        command = [sys.executable, "-P", "-m", "dapo_cli", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    dapo("train", "--algo", "sac", "--env", "InvertedPendulum-v4", "--steps", "100", *TINY)
    (run,) = json.loads(dapo("runs", "--json"))
    result = json.loads(dapo("evaluate", run["id"], "--episodes", "1", "--video", "film.mp4", "--json"))
    assert result["recorded"] == "same"
    with av.open(tmp_path / "film.mp4") as film:
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in film.decode(video=0)]
    assert len(frames) == result["length"] + 1
    assert frames[0].std() > 10  # it shows something
    assert np.abs(frames[-1] - frames[0]).mean() > 0.1  # that moves


@pytest.mark.slow
@pytest.mark.parametrize(("chosen", "remedy"), [("bogus", "unset it"), ("glfw", "libegl1")])
def test_a_mujoco_gl_that_does_not_work_is_one_line(tmp_path: Path, chosen: str, remedy: str) -> None:
    """GLFW draws only on a display. In processes of their own, as above."""
    variables = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}

    def dapo(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "dapo_cli", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env={**variables, **more}, capture_output=True, text=True, check=False
        )

    train = ["train", "--algo", "sac", "--env", "InvertedPendulum-v4", "--steps", "30", "--json", *TINY]
    run_id = json.loads(dapo(*train).stdout)["id"]
    done = dapo("evaluate", run_id, "--video", "film.gif", "-q", MUJOCO_GL=chosen)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert remedy in done.stderr
    assert not list(tmp_path.glob("*film*"))
