"""A film of an episode: an .mp4, or a .gif with at most 50 frames a second, as many as browsers show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dapo_cli.errors import BadInput
from dapo_cli.files import aside
from dapo_cli.training.environments.gym_environment import Environment

GIF_LEAST = 2  # hundredths of a second that a browser shows a frame of a .gif
NO_GL = "install libegl1 and libgl1, or libosmesa6, Debian's packages of what draws without a display"


class Writer(Protocol):
    """Encodes frames (height, width, 3) into one file."""

    def add(self, frame: NDArray[np.uint8]) -> None:
        """The next frame; all are of one size."""

    def close(self) -> None:
        """Writes what is left."""


class Mp4:
    """H.264, encoded frame by frame."""

    def __init__(self, path: Path, frames_per_second: float) -> None:
        import av

        self._rate = Fraction(frames_per_second).limit_denominator(1000)
        self._container = av.open(path, "w", format="mp4")
        self._stream: Any = None

    def add(self, frame: NDArray[np.uint8]) -> None:
        import av

        height, width = (size // 2 * 2 for size in frame.shape[:2])  # the colours of H.264 are halved in both
        if self._stream is None:
            self._stream = self._container.add_stream("libx264", self._rate, width=width, height=height)
            self._stream.pix_fmt = "yuv420p"
        pixels = np.ascontiguousarray(frame[:height, :width])
        self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))

    def close(self) -> None:
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()


class Gif:
    """Frames of 256 colours, kept in memory until the end: about 0.2 MB each."""

    def __init__(self, path: Path, frames_per_second: float) -> None:
        self._path, self._rate = path, frames_per_second
        self._added = 0
        self._frames: list[Image.Image] = []
        self._begins: list[int] = []  # when each frame appears, in hundredths of a second

    def add(self, frame: NDArray[np.uint8]) -> None:
        begin = round(100 * self._added / self._rate)
        if not self._begins or begin - self._begins[-1] >= GIF_LEAST:
            self._frames.append(Image.fromarray(frame).quantize(256, Image.Quantize.FASTOCTREE))
            self._begins.append(begin)
        self._added += 1

    def close(self) -> None:
        ends = [*self._begins[1:], max(round(100 * self._added / self._rate), self._begins[-1] + GIF_LEAST)]
        milliseconds = [10 * (end - begin) for begin, end in zip(self._begins, ends, strict=True)]
        first, *others = self._frames
        first.save(self._path, "GIF", save_all=True, append_images=others, duration=milliseconds, loop=0)


WRITERS: dict[str, type[Mp4 | Gif]] = {".mp4": Mp4, ".gif": Gif}


class Film:
    """What an environment shows, frame by frame."""

    def __init__(self, writer: Writer, environment: Environment) -> None:
        self._writer, self._environment = writer, environment

    def take(self) -> None:
        """Raises BadInput if the environment cannot be drawn here."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # GLFW warns of what the error below says
                frame = self._environment.render()
        except Exception as error:  # whatever the environment's renderer raises
            cause = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            if re.search("GL|glfw|[mM]esa|gl[A-Z]", cause):  # what to do first: such a cause is long and says nothing
                raise BadInput(f"cannot draw here: {NO_GL}, or leave out --video ({cause})") from error
            raise BadInput(f"cannot film this environment ({cause}), or leave out --video") from error
        if getattr(frame, "ndim", 0) != 3:
            raise BadInput(
                "cannot film this environment (it draws no picture of rows, columns, colours): leave out --video"
            )
        self._writer.add(frame)


@contextmanager
def filming(path: Path, environment: Environment) -> Iterator[Film]:
    """A film of what the body takes; the file appears, whole, if the body succeeds."""
    with aside(path.resolve()) as place:
        writer = WRITERS[path.suffix.lower()](place, environment.frames_per_second)
        yield Film(writer, environment)
        writer.close()


def prepare(path: Path) -> None:
    """Checks that a film can be written to `path`, and chooses how MuJoCo draws where there is no display.

    To be called before an environment is made, as MuJoCo reads MUJOCO_GL when it is imported. Raises BadInput.
    """
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise BadInput(f"--video {path} is neither an .mp4 nor a .gif: name it so")
    if path.is_dir() or not path.resolve().parent.is_dir():
        raise BadInput(f"cannot write {path}: {'it is a folder' if path.is_dir() else 'its folder does not exist'}")
    if suffix == ".mp4":
        try:
            import av  # noqa: F401
        except ImportError as error:
            raise BadInput("an .mp4 needs PyAV: pip install 'dapo-cli[video]', or name a .gif") from error
    _draw_without_display()


def _draw_without_display() -> None:
    """Where there is no display, sets MUJOCO_GL (unless it is set) to what works here; also what keeps pygame quiet.

    Tried in processes of their own, because a library that fails to load leaves PyOpenGL bound to it.
    """
    if not sys.platform.startswith("linux") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    for backend in ("egl", "osmesa"):
        if os.environ.get("MUJOCO_GL"):
            return
        code = f"from mujoco.{backend} import GLContext; GLContext(8, 8).make_current()"
        if subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, check=False).returncode == 0:
            os.environ["MUJOCO_GL"] = backend
