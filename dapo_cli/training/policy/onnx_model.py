"""A policy as an ONNX model: written operator by operator, so that it is small and the same bytes every time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from algorithms.core.mlp import LAYER_NORM_EPS
from algorithms.core.standardised import LARGEST_INPUT
from algorithms.core.tanh_gaussian import LOG_STD_MAX, LOG_STD_MIN

OPSET, IR_VERSION = 20, 9  # the oldest with Gelu, and what reads it (onnxruntime 1.17 and newer)
ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "gelu": "Gelu", "elu": "Elu"}  # SiLU is newer: h * sigmoid(h)


def model(tensors: Mapping[str, NDArray[np.float32]], activation: str) -> ModelProto:
    """observation (batch, S) -> action (batch, A) in the environment's units, and what it was made from.

    That is mean and log_std (batch, A) before tanh, or, for finite actions, choice (batch, A) and dual (batch, A n).
    `tensors` are those of `exporting.tensors`; all numbers but the choice are float32.
    """
    graph = _Graph(tensors)
    h = _standardised(graph, "observation") if "input.mean" in tensors else "observation"
    layers = [name.removesuffix(".weight") for name in tensors if name.endswith(".weight")]
    for layer in range(sum(map(str.isdigit, layers))):
        h = graph.linear(h, str(layer))
        if f"{layer}.scale" in tensors:
            h = graph.add("LayerNormalization", h, f"{layer}.scale", f"{layer}.shift", epsilon=LAYER_NORM_EPS)
        h = (
            graph.add("Mul", h, graph.add("Sigmoid", h))
            if activation == "silu"
            else graph.add(ACTIVATIONS[activation], h)
        )
    width = len(tensors["0.weight"])
    return _finite(graph, h, width, tensors) if "dual.weight" in tensors else _continuous(graph, h, width, tensors)


def _standardised(graph: _Graph, h: str) -> str:
    """The observation by its running moments, cut off."""
    least, largest = graph.constant("input.least", -LARGEST_INPUT), graph.constant("input.largest", LARGEST_INPUT)
    return graph.add("Clip", graph.add("Div", graph.add("Sub", h, "input.mean"), "input.std"), least, largest)


def _continuous(graph: _Graph, h: str, width: int, tensors: Mapping[str, NDArray[np.float32]]) -> ModelProto:
    """`action`, `mean` and `log_std`, (batch, A)."""
    mean = graph.linear(h, "mean", "mean")
    half_range = graph.constant("log_std.half_range", 0.5 * (LOG_STD_MAX - LOG_STD_MIN))
    least, one = graph.constant("log_std.least", LOG_STD_MIN), graph.constant("one", 1.0)
    raised = graph.add("Add", graph.add("Tanh", graph.linear(h, "log_std")), one)
    graph.add("Add", graph.add("Mul", raised, half_range), least, output="log_std")
    stretched = graph.add("Mul", graph.add("Tanh", mean), "action.half")
    graph.add("Add", stretched, "action.centre", output="action")
    size = tensors["mean.weight"].shape[1]
    return graph.model(width, dict.fromkeys(("action", "mean", "log_std"), ("float", size)))


def _finite(graph: _Graph, h: str, width: int, tensors: Mapping[str, NDArray[np.float32]]) -> ModelProto:
    """`action` and `choice` (batch, A), the likeliest, and `dual` (batch, A n)."""
    size, n = tensors["action.values"].shape
    shape, depth = graph.constant("shape", [-1, size, n], np.int64), graph.constant("depth", n, np.int64)
    off_on, last = graph.constant("off_on", [0.0, 1.0]), graph.constant("last", [-1], np.int64)
    dual = graph.add("Reshape", graph.linear(h, "dual", "dual"), shape)
    choice = graph.add("ArgMax", dual, axis=-1, keepdims=0, output="choice")
    chosen = graph.add("Mul", graph.add("OneHot", choice, depth, off_on), "action.values")
    graph.add("ReduceSum", chosen, last, keepdims=0, output="action")
    return graph.model(width, {"action": ("float", size), "choice": ("int64", size), "dual": ("float", size * n)})


class _Graph:
    """Nodes in the order of their computation, and the constants they use."""

    def __init__(self, constants: Mapping[str, NDArray[np.float32]]) -> None:
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, NDArray[Any]] = dict(constants)

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """One operator; returns the name of its result."""
        output = output or f"h{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, name: str, value: float | list[float], kind: type = np.float32) -> str:
        self._constants[name] = np.array(value, kind)
        return name

    def linear(self, h: str, layer: str, output: str = "") -> str:
        return self.add("Add", self.add("MatMul", h, f"{layer}.weight"), f"{layer}.bias", output=output)

    def model(self, width: int, outputs: Mapping[str, tuple[str, int]]) -> ModelProto:
        """The checked model of observations of that width, with an open batch axis; outputs: name -> type and width."""
        types = {"float": TensorProto.FLOAT, "int64": TensorProto.INT64}

        def value(name: str, kind: str, width: int) -> Any:
            return helper.make_tensor_value_info(name, types[kind], ["batch", width])

        constants = [numpy_helper.from_array(array, name) for name, array in self._constants.items()]
        results = [value(name, *what) for name, what in outputs.items()]
        source = [value("observation", "float", width)]
        graph = helper.make_graph(self._nodes, "policy", source, results, constants)
        opset = [helper.make_opsetid("", OPSET)]
        made = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="dapo")
        checker.check_model(made, full_check=True)
        return made
