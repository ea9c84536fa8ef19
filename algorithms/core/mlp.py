"""Multilayer perceptrons whose parameters are one flat vector.

One vector, because then the optimiser, the Polyak average, a frozen copy and a checkpoint are each one operation on one
tensor, and `vmap` over seeds stacks one thing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "silu": F.silu,
    "gelu": F.gelu,
    "elu": F.elu,
}


def _logistic(h: NDArray[Any]) -> NDArray[Any]:
    from scipy.special import expit  # a fifth of a second, which most runs need not spend

    return expit(h)  # type: ignore[no-any-return]


def _normal_cdf(h: NDArray[Any]) -> NDArray[Any]:
    from scipy.special import ndtr

    return ndtr(h)  # type: ignore[no-any-return]


ARRAY_ACTIVATIONS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "relu": lambda h: np.maximum(h, 0),
    "tanh": np.tanh,
    "silu": lambda h: h * _logistic(h),
    "gelu": lambda h: h * _normal_cdf(h),
    "elu": lambda h: np.where(h > 0, h, np.expm1(np.minimum(h, 0))),
}
LAYER_NORM_EPS = 1e-5


@dataclass(frozen=True)
class MLP:
    """`copies` networks of one shape side by side: (B, sizes[0]) -> (copies, B, sizes[-1]).

    Their weights are stacked, so that a layer of all copies is one batched product.
    """

    sizes: tuple[int, ...]
    activation: str = "relu"
    layer_norm: bool = False
    copies: int = 1

    @property  # not cached: a compiler cannot trace the lock of cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every tensor in the flat vector, in its order."""
        shapes: dict[str, tuple[int, ...]] = {}
        pairs = list(zip(self.sizes[:-1], self.sizes[1:], strict=True))
        for i, (fan_in, fan_out) in enumerate(pairs):
            shapes[f"{i}.weight"] = (self.copies, fan_in, fan_out)
            shapes[f"{i}.bias"] = (self.copies, 1, fan_out)
            if self.layer_norm and i < len(pairs) - 1:
                shapes[f"{i}.scale"] = (self.copies, 1, fan_out)
                shapes[f"{i}.shift"] = (self.copies, 1, fan_out)
        return shapes

    @property
    def size(self) -> int:
        """P: parameters in all."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def init(self, generator: torch.Generator) -> Tensor:
        """Flat parameters (P,), each weight and bias uniform in ±1/√fan_in, as PyTorch's own linear layers."""
        parts = []
        for name, shape in self.shapes.items():
            layer, kind = name.split(".")
            if kind in ("scale", "shift"):
                parts.append(torch.full((math.prod(shape),), float(kind == "scale")))
            else:
                bound = self.sizes[int(layer)] ** -0.5
                parts.append(torch.empty(math.prod(shape)).uniform_(-bound, bound, generator=generator))
        return torch.cat(parts)

    def unflatten(self, parameters: Tensor) -> dict[str, Tensor]:
        """Named views into the flat vector (P,)."""
        parts = torch.split(parameters, [math.prod(shape) for shape in self.shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}

    def __call__(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Outputs (copies, B, sizes[-1]) for inputs (B, sizes[0]); without the first axis if there is one copy."""
        p = self.unflatten(parameters)
        h = x.expand(self.copies, *x.shape) if self.copies > 1 else x
        last = len(self.sizes) - 2
        for i in range(last):
            h = self._linear(h, p[f"{i}.weight"], p[f"{i}.bias"])
            if self.layer_norm:
                scale, shift = p[f"{i}.scale"], p[f"{i}.shift"]
                h = F.layer_norm(h, h.shape[-1:], eps=LAYER_NORM_EPS)
                h = h * scale + shift if self.copies > 1 else h * scale[0, 0] + shift[0, 0]
            h = ACTIVATIONS[self.activation](h)
        return self._linear(h, p[f"{last}.weight"], p[f"{last}.bias"])

    def of_one(self, weights: dict[str, NDArray[Any]], x: NDArray[Any]) -> NDArray[Any]:
        """The output (sizes[-1],) of a single network for one input (sizes[0],), in NumPy.

        A tensor operation costs more than such a product itself. `weights` is what `unflatten` gives, as arrays. The
        sums are einsum's own, whose result does not depend on the number of BLAS threads.
        """
        h, last = x, len(self.sizes) - 2
        for i in range(last + 1):
            h = np.einsum("i,ij->j", h, weights[f"{i}.weight"][0]) + weights[f"{i}.bias"][0, 0]
            if i < last and self.layer_norm:
                h = (h - h.mean()) / np.sqrt(h.var() + LAYER_NORM_EPS)
                h = h * weights[f"{i}.scale"][0, 0] + weights[f"{i}.shift"][0, 0]
            if i < last:
                h = ARRAY_ACTIVATIONS[self.activation](h)
        return h

    def _linear(self, h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """h ([N,] B, in) through weights (N, in, out) and biases (N, 1, out).

        The bias is added apart from the product, because a compiler fuses it with the nonlinearity that follows.
        """
        if self.copies == 1:
            return h @ weight[0] + bias[0, 0]
        if weight.shape[-1] == 1:  # a product with one column is faster as a sum, which fuses with its neighbours
            return (h * weight.mT).sum(-1, keepdim=True) + bias
        return torch.bmm(h, weight) + bias
