"""`dapo export-policy`: the folder it writes, and what it leaves alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from safetensors.numpy import load_file

FILES = {"policy.safetensors", "policy.onnx", "policy.json"}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_folder_holds_weights_model_and_card(dapo: Any, tmp_path: Path, trained_run: str) -> None:
    outcome = dapo("export-policy", trained_run[:9])
    name = f"{trained_run[:6]}-policy"
    assert (outcome.code, outcome.out) == (0, f"{name}\n")
    files = contents(tmp_path / name)
    assert set(files) == FILES
    tensors = load_file(tmp_path / name / "policy.safetensors")
    assert tensors["0.weight"].shape == (3, 16)
    assert tensors["log_std.bias"].shape == (1,)
    model = onnxruntime.InferenceSession(files["policy.onnx"], providers=["CPUExecutionProvider"])
    assert [(value.name, value.shape) for value in model.get_inputs()] == [("observation", ["batch", 3])]
    assert [value.name for value in model.get_outputs()] == ["action", "mean", "log_std"]
    assert {path.name for path in tmp_path.iterdir()} == {name, "runs.db", "runs.db.files"}
    assert dapo("export-policy", trained_run, "--out", "again").code == 0
    assert contents(tmp_path / "again") == files


def test_the_card_says_what_the_policy_is(dapo: Any, tmp_path: Path, trained_run: str) -> None:
    dapo("export-policy", trained_run, "--out", "policy")
    card = json.loads((tmp_path / "policy" / "policy.json").read_text())
    run = json.loads(dapo("show", trained_run, "--json").out)
    assert set(card["files"]) == FILES
    assert (card["run"], card["policy"], card["format"]) == (trained_run, "tanh-gaussian", 1)
    for name in ("algo", "env", "seed", "steps", "status", "versions", "commit"):
        assert card[name] == run[name], name
    assert card["step"] == 300
    assert card["evaluation"]["mean"] == pytest.approx(run["final"])
    assert card["evaluation"]["returns"] == run["evaluation"]["returns"]
    assert (card["observation"]["shape"], card["action"]["shape"]) == ([3], [1])
    assert (card["action"]["low"], card["action"]["high"]) == ([-2.0], [2.0])
    assert card["network"]["hidden_sizes"] == [16, 16]
    assert card["hyperparameters"]["beta"] == 0.5
    assert card["hyperparameters"]["buffer_size"] == 1_000_000
    documented = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")
    assert [key for key in card if f"`{key}`" not in documented] == []


def test_an_existing_folder_is_replaced_only_if_it_is_an_export(
    dapo: Any, refused: Callable[..., str], tmp_path: Path, trained_run: str
) -> None:
    export = ("export-policy", trained_run, "--out", "policy")
    assert dapo(*export).code == 0
    before = contents(tmp_path / "policy")
    assert refused(*export, "-q") == "policy exists already: name another with --out, or replace it with --force"
    assert dapo(*export, "--force", "--format", "safetensors").code == 0
    assert set(contents(tmp_path / "policy")) == FILES - {"policy.onnx"}
    assert contents(tmp_path / "policy")["policy.safetensors"] == before["policy.safetensors"]
    (tmp_path / "policy" / "thesis.tex").touch()
    assert "thesis.tex" in refused(*export, "--force", "-q")
    assert (tmp_path / "policy" / "thesis.tex").exists()
    (tmp_path / "notes").write_text("mine")
    assert "notes is not only an exported policy" in refused("export-policy", trained_run, "--out", "notes", "--force")
    assert "cannot write no/where" in refused("export-policy", trained_run, "--out", "no/where", "-q")
    assert {path.name for path in tmp_path.iterdir()} == {"policy", "notes", "runs.db", "runs.db.files"}


def test_an_export_that_fails_leaves_the_older_one(
    dapo: Any, refused: Callable[..., str], tmp_path: Path, trained_run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = ("export-policy", trained_run, "--out", "policy")
    dapo(*export, "--format", "onnx")
    before = contents(tmp_path / "policy")
    assert set(before) == FILES - {"policy.safetensors"}

    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert refused(*export, "--force", "-q").startswith("cannot write policy (No space left on device)")
    assert contents(tmp_path / "policy") == before
    assert {path.name for path in tmp_path.iterdir()} == {"policy", "runs.db", "runs.db.files"}


def test_without_the_package_onnx_the_weights_are_still_written(
    dapo: Any, refused: Callable[..., str], tmp_path: Path, trained_run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert "pip install 'dapo-cli[onnx]'" in refused("export-policy", trained_run, "--format", "onnx")
    assert list(tmp_path.glob("*-policy")) == []
    outcome = dapo("export-policy", trained_run, "--out", "policy")
    assert outcome.code == 0
    assert "without policy.onnx: to have it, pip install 'dapo-cli[onnx]'" in outcome.err
    assert set(contents(tmp_path / "policy")) == FILES - {"policy.onnx"}
    assert dapo("export-policy", trained_run, "--out", "weights", "--format", "safetensors").err.count("\n") == 1
