"""A policy as an ONNX model: written operator by operator, so that it is small and the same bytes every time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from algorithms._networks import LAYER_NORM_EPS
from algorithms._policies import LOG_STD_MAX, LOG_STD_MIN

OPSET, IR_VERSION = 20, 9  # the oldest with Gelu, and what reads it (onnxruntime 1.17 and newer)
ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "gelu": "Gelu", "elu": "Elu"}  # SiLU is newer: h * sigmoid(h)


def model(tensors: Mapping[str, NDArray[np.float32]], activation: str) -> ModelProto:
    """observation (batch, S) -> action (batch, A) in the environment's units, mean and log_std (batch, A) before tanh.

    `tensors` are those of `exporting.tensors`; everything is float32.
    """
    graph = _Graph(tensors)
    h = "observation"
    for layer in range(sum(name.endswith(".weight") for name in tensors) - 2):
        h = graph.linear(h, str(layer))
        if f"{layer}.scale" in tensors:
            h = graph.add("LayerNormalization", h, f"{layer}.scale", f"{layer}.shift", epsilon=LAYER_NORM_EPS)
        h = (
            graph.add("Mul", h, graph.add("Sigmoid", h))
            if activation == "silu"
            else graph.add(ACTIVATIONS[activation], h)
        )
    mean = graph.linear(h, "mean", "mean")
    half_range = graph.constant("log_std.half_range", 0.5 * (LOG_STD_MAX - LOG_STD_MIN))
    least, one = graph.constant("log_std.least", LOG_STD_MIN), graph.constant("one", 1.0)
    raised = graph.add("Add", graph.add("Tanh", graph.linear(h, "log_std")), one)
    graph.add("Add", graph.add("Mul", raised, half_range), least, output="log_std")
    stretched = graph.add("Mul", graph.add("Tanh", mean), "action.half")
    graph.add("Add", stretched, "action.centre", output="action")
    first, last = tensors["0.weight"], tensors["mean.weight"]
    return graph.model("observation", len(first), ("action", "mean", "log_std"), last.shape[1])


class _Graph:
    """Nodes in the order of their computation, and the constants they use."""

    def __init__(self, constants: Mapping[str, NDArray[np.float32]]) -> None:
        self._nodes: list[NodeProto] = []
        self._constants = dict(constants)

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """One operator; returns the name of its result."""
        output = output or f"h{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, name: str, value: float) -> str:
        self._constants[name] = np.array(value, np.float32)
        return name

    def linear(self, h: str, layer: str, output: str = "") -> str:
        return self.add("Add", self.add("MatMul", h, f"{layer}.weight"), f"{layer}.bias", output=output)

    def model(self, source: str, width_in: int, outputs: tuple[str, ...], width_out: int) -> ModelProto:
        """The checked model, with an open batch axis."""

        def value(name: str, width: int) -> Any:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])

        constants = [numpy_helper.from_array(array, name) for name, array in self._constants.items()]
        graph = helper.make_graph(
            self._nodes, "policy", [value(source, width_in)], [value(name, width_out) for name in outputs], constants
        )
        opset = [helper.make_opsetid("", OPSET)]
        made = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="dapo")
        checker.check_model(made, full_check=True)
        return made
