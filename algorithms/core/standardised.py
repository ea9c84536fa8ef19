"""Networks that standardise their inputs, and the running moments by which they do.

The moments are a part of the flat parameter vector, without a gradient: so a frozen policy keeps those with which it
played, and a checkpoint, an evaluation and an export have them without knowing of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from algorithms.core.mlp import MLP

LARGEST_INPUT = 10.0  # in standard deviations; what is beyond counts as that
LEAST_VARIANCE = 1e-8
MEAN, STD = "input.mean", "input.std"


class Moments(NamedTuple):
    """Mean and variance of all that has been seen: (S,) each, or 0-dim; 0 and 1 before."""

    samples: Tensor  # 0-dim
    mean: Tensor
    variance: Tensor

    @property
    def std(self) -> Tensor:
        """The standard deviation, positive."""
        return (self.variance + LEAST_VARIANCE).sqrt()


def moments(shape: tuple[int, ...]) -> Moments:
    """Of nothing yet."""
    return Moments(torch.zeros(()), torch.zeros(shape), torch.ones(shape))


def merged(seen: Moments, values: Tensor) -> Moments:
    """With values (T, ...) more. Chan, Golub, LeVeque 1983, "Algorithms for Computing the Sample Variance"."""
    n, mean = len(values), values.mean(0)
    samples = seen.samples + n
    shift = mean - seen.mean
    squares = (
        seen.samples * seen.variance + n * values.var(0, correction=0) + shift * shift * (seen.samples * n / samples)
    )
    return Moments(samples, seen.mean + shift * (n / samples), squares / samples)


@dataclass(frozen=True)
class Standardised:
    """A network of (x - mean) / std, cut off at ±LARGEST_INPUT. Used as an `MLP` is."""

    mlp: MLP

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of every layer, the input's and the output's too."""
        return self.mlp.sizes

    @property
    def activation(self) -> str:
        """The nonlinearity's name."""
        return self.mlp.activation

    @property
    def layer_norm(self) -> bool:
        """Whether layers are normalised."""
        return self.mlp.layer_norm

    @property
    def _moments(self) -> int:
        return 2 * self.sizes[0]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every tensor in the flat vector, in its order: the moments first."""
        shape = (1, 1, self.sizes[0])
        return {MEAN: shape, STD: shape} | self.mlp.shapes

    def init(self, generator: torch.Generator) -> Tensor:
        """Flat parameters (P,): those of the network, which as yet takes its inputs as they are."""
        inputs = self.sizes[0]
        return torch.cat([torch.zeros(inputs), torch.ones(inputs), self.mlp.init(generator)])

    def standardising(self, parameters: Tensor, by: Moments) -> Tensor:
        """The parameters (P,) with these moments (S,) for their own."""
        return torch.cat([by.mean, by.std, parameters[self._moments :]])

    def unflatten(self, parameters: Tensor) -> dict[str, Tensor]:
        """Named views into the flat vector (P,)."""
        mean, std, rest = torch.split(parameters, [self.sizes[0], self.sizes[0], len(parameters) - self._moments])
        return {MEAN: mean.view(1, 1, -1), STD: std.view(1, 1, -1)} | self.mlp.unflatten(rest)

    def __call__(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Outputs (B, sizes[-1]) for inputs (B, sizes[0])."""
        mean, std = parameters[: self._moments].detach().chunk(2)
        standard = ((x - mean) / std).clamp(-LARGEST_INPUT, LARGEST_INPUT)
        return self.mlp(parameters[self._moments :], standard)

    def of_one(self, weights: dict[str, NDArray[Any]], x: NDArray[Any]) -> NDArray[Any]:
        """The output (sizes[-1],) for one input (sizes[0],), in NumPy."""
        standard = (x - weights[MEAN][0, 0]) / weights[STD][0, 0]
        return self.mlp.of_one(weights, np.clip(standard, -LARGEST_INPUT, LARGEST_INPUT))


def orthogonal(network: MLP | Standardised, generator: torch.Generator, gain: float) -> Tensor:
    """Flat parameters (P,): orthogonal weights, of norm √2 and in the last layer of norm `gain`; biases are 0.

    Saxe et al. 2013, arXiv 1312.6120; with a small last gain the first policy is nearly the same in every state.
    """
    last = f"{len(network.sizes) - 2}.weight"
    parts = []
    for name, shape in network.shapes.items():
        if name.endswith("weight"):
            parts.append(torch.stack([torch.empty(shape[1:]) for _ in range(shape[0])]))
            for weight in parts[-1]:
                torch.nn.init.orthogonal_(weight, gain if name == last else 2**0.5, generator=generator)
        else:
            parts.append(torch.full(shape, float(name.endswith(("scale", "std")))))
    return torch.cat([part.flatten() for part in parts])
