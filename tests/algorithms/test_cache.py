"""Compiled code is kept where only its user can write, under a name that nobody else can take first."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
import torch

from algorithms.learner import cache_folder
from algorithms.learner.cache_folder import CacheError, own, prepare


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    return tmp_path / "xdg" / "dapo"


def test_the_compiler_keeps_everything_in_the_users_cache(caches: Path) -> None:
    from torch._inductor.runtime import cache_dir_utils, runtime_utils

    os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{tempfile.gettempdir()}/torchinductor_me"  # by PyTorch itself
    prepare()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(caches / "torch")
    assert cache_dir_utils.cache_dir() == str(caches / "torch")
    # Precompiled headers and more are kept here, whatever the variable says.
    assert cache_dir_utils.default_cache_dir() == runtime_utils.default_cache_dir() == str(caches / "torch")
    assert {place.stat().st_mode & 0o777 for place in (caches, caches / "torch")} == {0o700}


def test_headers_of_a_compiler_that_is_loaded_already(caches: Path) -> None:
    import torch._inductor.codecache as codecache

    prepare()
    assert str(caches / "torch" / "precompiled_headers") == codecache._HEADER_DIR
    assert codecache._HEADER_LOCK_DIR.startswith(str(caches))


@pytest.mark.parametrize("inner", ["", "graphs"])
def test_a_folder_that_is_not_ours_alone(inner: str, caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = caches / inner
    place.mkdir(parents=True)
    place.chmod(0o775)
    with pytest.raises(CacheError, match=f"{place} can be written to by others.*XDG_CACHE_HOME.*--compile off"):
        own("graphs")
    place.chmod(0o755)  # of an older dapo, and safe
    assert own("graphs").stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(CacheError, match=f"{caches} belongs to another user"):
        own("graphs")


def test_a_file_in_its_place(caches: Path) -> None:
    caches.parent.mkdir()
    caches.write_text("")
    caches.chmod(0o600)
    assert own("graphs").name == "graphs"  # as where none can be written to
    assert caches.read_text() == ""


def test_the_users_own_folder(caches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = tmp_path / "chosen"
    chosen.mkdir(mode=0o755)
    chosen.chmod(0o755)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(chosen))
    prepare()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(chosen)
    assert chosen.stat().st_mode & 0o777 == 0o755
    chosen.chmod(0o777)
    with pytest.raises(CacheError, match=f"TORCHINDUCTOR_CACHE_DIR={chosen} can be written to by others"):
        prepare()


@pytest.mark.parametrize("why", ["no home", "unwritable"])
def test_without_a_place_in_the_home(why: str, caches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then for this process alone, under a name that nobody can foretell."""
    monkeypatch.setattr(cache_folder, "_temporary", lambda: tmp_path)
    if why == "no home":
        monkeypatch.delenv("XDG_CACHE_HOME")

        def homeless() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", homeless)
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    assert own("torch") == tmp_path / "torch"
    assert (tmp_path / "torch").stat().st_mode & 0o777 == 0o700


def test_the_temporary_one() -> None:
    cache_folder._temporary.cache_clear()
    first = cache_folder._temporary()
    assert first.stat().st_mode & 0o777 == 0o700
    assert cache_folder._temporary() == first
    cache_folder._temporary.cache_clear()
    assert cache_folder._temporary() != first


def test_libraries_that_were_cut_off(caches: Path) -> None:
    """A full disk or a lost machine leaves such, and to load one kills the process."""
    libraries = Path(torch.__file__).parent.glob("lib/*.so")
    library = min(libraries, key=lambda file: file.stat().st_size).read_bytes()
    folder = own("torch") / "ab"
    folder.mkdir()
    for name, content in {"whole": library, "cut": library[:-1], "tiny": library[:10], "new": library[:-1]}.items():
        (folder / f"{name}.so").write_bytes(content)
        os.utime(folder / f"{name}.so", None if name == "new" else (0, 0))
    prepare()
    assert sorted(path.stem for path in folder.iterdir()) == ["new", "whole"]
