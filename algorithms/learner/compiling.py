"""How a step function is made fast without a change to its equations: compiled whole, products in half precision."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from algorithms.learner.cache_folder import prepare
from algorithms.learner.graph_cache import kept

Step = Callable[..., tuple[tuple[str, ...], Tensor]]  # names and values of its metrics

_numbers = itertools.count()


def whole_graph(step: Any, device: str) -> Step:
    """One graph of the whole update. Its inputs keep their shapes for the whole run, so nothing need guard them."""
    prepare()
    options: dict[str, Any] = {"guard_filter_fn": torch.compiler.skip_all_guards_unsafe}
    if device == "cpu":
        # Kernels called from C++ (0.2 ms an update less than from Python), and a gradient's parts copied side by side
        # (0.1 ms less than choosing the part anew for every element of the optimiser's loop).
        return kept(step, options | {"cpp_wrapper": True, "max_pointwise_cat_inputs": 0})
    # The compiler keeps its graphs by code object, which all closures of one definition share: without guards each must
    # have its own, or it would be given another's graph.
    code = step.__code__.replace(co_name=f"step_{next(_numbers)}")
    own = FunctionType(code, step.__globals__, code.co_name, None, step.__closure__)
    options["deterministic"] = True  # no kernel chosen by a timing: it would not be the same in the next process
    warnings.filterwarnings("ignore", message="TensorFloat32")  # full precision is what we want
    return torch.compile(own, fullgraph=True, dynamic=False, options=options)


def half_products(step: Step, device: str) -> Step:
    """The step with its matrix products in bfloat16; parameters, optimiser, sums and losses stay in float32."""

    def half(*args: Any) -> tuple[tuple[str, ...], Tensor]:
        with torch.autocast(device, torch.bfloat16, cache_enabled=False):  # a cache would outlive the parameters
            return step(*args)

    return half


def without_denormals(step: Step) -> Step:
    """The step with numbers below 1.2e-38 taken for 0, on the CPU.

    Adam's means of a dead unit come to rest at such numbers, and arithmetic with them is a hundred times slower; a
    parameter they would change by less than its last bit.
    """

    def flushing(*args: Any) -> tuple[tuple[str, ...], Tensor]:
        torch.set_flush_denormal(True)
        try:
            return step(*args)
        finally:
            torch.set_flush_denormal(False)

    return flushing


Result = tuple[tuple[str, ...], Tensor]
Record = Callable[[Callable[[], Result]], tuple[Callable[[], object], Result]]


def record_graph(call: Callable[[], Result]) -> tuple[Callable[[], object], Result]:
    """The call as a CUDA graph: what launches it again, and the result that each launch overwrites."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):  # records and computes nothing
        result = call()
    return graph.replay, result


class Recorded:
    """A step that is recorded after some calls and then launched as one graph, without a launch of each kernel.

    Its arguments must be the same tensors at every call, at the same addresses: it reads and changes their contents.
    """

    CALLS_BEFORE = 3  # in which compilers and libraries prepare themselves; that can't be recorded

    def __init__(self, step: Step, record: Record = record_graph) -> None:
        self._step, self._record = step, record
        self._calls = 0
        self._launch: Callable[[], object] | None = None
        self._result: Result | None = None

    def __call__(self, *args: Any) -> Result:
        """As the step's own; the values are overwritten by the next call."""
        if self._calls < self.CALLS_BEFORE:
            self._calls += 1
            return self._step(*args)
        if self._launch is None:
            self._launch, self._result = self._record(lambda: self._step(*args))
        self._launch()
        assert self._result is not None
        return self._result
