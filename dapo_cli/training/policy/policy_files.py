"""A run's policy as files that need no dapo: weights, a card that says what they are, and an ONNX model."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as safetensors_bytes

import dapo_cli
from algorithms.core.mlp import LAYER_NORM_EPS
from algorithms.core.standardised import LARGEST_INPUT, Standardised
from algorithms.core.tanh_gaussian import LOG_STD_MAX, LOG_STD_MIN
from dapo_cli.errors import BadInput
from dapo_cli.files import aside
from dapo_cli.training.environments.action_spaces import BoxActions
from dapo_cli.training.policy.trained import Trained

WEIGHTS, MODEL, CARD = "policy.safetensors", "policy.onnx", "policy.json"
FORMAT = 1  # of the card
HIDDEN = [
    "h = observation; where there is an input.mean: clip((observation - input.mean) / input.std, -largest, largest)",
    "for each hidden layer i: h = activation(layer_norm(h @ i.weight + i.bias)), layer_norm only if there is one:",
    "  layer_norm(h) = (h - h.mean()) / sqrt(h.var() + layer_norm_eps) * i.scale + i.shift",
]
CONTINUOUS = [
    "mean = h @ mean.weight + mean.bias",
    "action = action.centre + action.half * tanh(mean), reshaped to the action's shape: the mean action",
    "log_std = low + (high - low) / 2 * (tanh(h @ log_std.weight + log_std.bias) + 1)",
    "a sampled action: the same with mean + exp(log_std) * standard normal noise in place of mean",
]
FINITE = [
    "dual = (h @ dual.weight + dual.bias), reshaped to (A, n)",
    "choice = argmax of dual over its last axis: the likeliest action",
    "action = action.values[i, choice[i]] for each coordinate i, reshaped to the action's shape",
    "a sampled action: choice drawn from the mirror map's distribution of dual (softmax for NegativeEntropy)",
]


def tensors(policy: Trained) -> dict[str, NDArray[np.float32]]:
    """The actor, float32, by the names of docs/policies.md.

    `<i>.weight` (in, out) and `<i>.bias` (out,) of hidden layer i, with layer normalisation also `<i>.scale` and
    `<i>.shift` (out,); `input.mean` and `input.std` (S,) where the network standardises its inputs. Continuous
    actions: `mean.*` and `log_std.*`, the halves of the last layer; `action.centre`, `action.half` (A,). Finite ones:
    `dual.*`, the last layer; `action.values` (A, n).
    """
    network = policy.actor.model.policy.network
    actions: Any = policy.environment.actions
    named = {name: view.numpy()[0] for name, view in network.unflatten(policy.actor.state.actor).items()}
    flat = {name: array if name.endswith("weight") else array[0] for name, array in named.items()}
    last = len(network.sizes) - 2
    for kind in ("weight", "bias"):
        output = flat.pop(f"{last}.{kind}")
        if actions.choices:
            flat[f"dual.{kind}"] = output
        else:
            flat[f"mean.{kind}"], flat[f"log_std.{kind}"] = np.split(output, 2, axis=-1)
    if isinstance(actions, BoxActions):
        flat |= {"action.centre": actions.centre, "action.half": actions.half}
    else:
        flat["action.values"] = actions.values
    return {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in flat.items()}


def _of_kind(policy: Trained) -> dict[str, Any]:
    """What a card says of continuous actions, or of finite ones."""
    actions: Any = policy.environment.actions
    action = {"shape": list(actions.shape), "dtype": str(np.dtype(actions.dtype))}
    if isinstance(actions, BoxActions):
        bounds = {"low": (actions.centre - actions.half).tolist(), "high": (actions.centre + actions.half).tolist()}
        network = {"log_std": {"low": LOG_STD_MIN, "high": LOG_STD_MAX}}
        return {"policy": "tanh-gaussian", "action": action | bounds, "network": network, "computation": CONTINUOUS}
    finite = {"choices": actions.choices, "values": actions.values.tolist()}
    mirror_map = {"mirror_map": repr(policy.actor.model.config.mirror_map())}
    return {"policy": "factored", "action": action | finite, "network": mirror_map, "computation": FINITE}


def card(policy: Trained, recorded: list[tuple[float, int]], files: list[str]) -> dict[str, Any]:
    """What the policy is, where it comes from, and how an action is computed; fit for JSON.

    `recorded`: returns and lengths of the run's evaluation at the policy's step.
    """
    run, hyperparameters, kind = policy.run, policy.config.hyperparameters, _of_kind(policy)
    network = policy.actor.model.policy.network
    returns = [return_ for return_, _ in recorded]
    evaluation = {
        "actions": "mean",
        "episodes": len(returns),
        "mean": _finite(fmean(returns)) if returns else None,
        "std": _finite(stdev(returns)) if len(returns) > 1 else None,
        "returns": [_finite(value) for value in returns],
    }
    return {
        "format": FORMAT,
        "policy": kind["policy"],
        "files": files,
        "run": run["id"],
        "algo": run["algo"],
        "env": run["env"],
        "seed": run["seed"],
        "step": policy.step,
        "steps": run["steps"],
        "status": run["status"],
        "evaluation": evaluation if returns else None,
        "observation": {"shape": [policy.environment.spaces.observation], "dtype": "float32"},
        "action": kind["action"],
        "network": {
            "hidden_sizes": list(network.sizes[1:-1]),
            "activation": network.activation,
            "layer_norm": network.layer_norm,
            "layer_norm_eps": LAYER_NORM_EPS,
            "input": {"largest": LARGEST_INPUT} if isinstance(network, Standardised) else None,
            **kind["network"],
        },
        "computation": HIDDEN + kind["computation"],
        "hyperparameters": hyperparameters.model_dump(mode="json"),
        "versions": run["versions"],
        "commit": run["commit"],
        "uncommitted_changes": run["dirty"],
        "exported_by": f"dapo {dapo_cli.__version__}",
    }


def contents(policy: Trained, recorded: list[tuple[float, int]], *, weights: bool, model: bool) -> dict[str, bytes]:
    """The files of an export by name; `model` needs the package onnx. The same policy gives the same bytes."""
    files = {}
    arrays = tensors(policy)
    if weights:
        files[WEIGHTS] = safetensors_bytes(dict(sorted(arrays.items())))
    if model:
        from dapo_cli.training.policy import onnx_model

        made = onnx_model.model(arrays, policy.actor.model.policy.network.activation)
        files[MODEL] = made.SerializeToString(deterministic=True)
    described = json.dumps(card(policy, recorded, [*files, CARD]), indent=2, allow_nan=False)
    return {**files, CARD: f"{described}\n".encode()}


def write_folder(folder: Path, files: dict[str, bytes], *, force: bool) -> None:
    """Writes a new folder, whole or not at all; with `force` also in place of an older export. Raises BadInput."""
    place = folder.resolve()
    if place.exists() or folder.is_symlink():
        if not force:
            raise BadInput(f"{folder} exists already: name another with --out, or replace it with --force")
        others = {path.name for path in place.iterdir()} - {WEIGHTS, MODEL, CARD} if place.is_dir() else {"no folder"}
        if others:
            raise BadInput(f"{folder} is not only an exported policy ({min(others)}): name another with --out")
    try:
        with aside(place) as new:
            new.mkdir()
            for name, content in files.items():
                (new / name).write_bytes(content)
    except OSError as error:
        raise BadInput(f"cannot write {folder} ({error.strerror}): name another with --out") from error


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
