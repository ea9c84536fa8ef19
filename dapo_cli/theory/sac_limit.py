"""T6 as β goes to 1, where the regularised step is SAC's: the numbers of `dapo theory sac`."""

# ruff: noqa: N806 (symbols as in the papers)
from __future__ import annotations

from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from algorithms.core.mirror_maps import NegativeEntropy
from algorithms.tabular import bounds
from algorithms.tabular.mdp import garnet
from algorithms.tabular.mirror_descent import constant, mirror_descent
from algorithms.tabular.values import optimum
from dapo_cli.theory.rates import ACTIONS, GAMMA, STATES, SUCCESSORS

ITERATIONS = 40
TAU = 0.1
BETAS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99, 1.0)
DRAWN = (0.1, 0.3, 0.5, 0.9, 1.0)  # with a line of their own

_EXACT = 1e-11  # an error below it is rounding


class Run(NamedTuple):
    """One β on M MDPs."""

    beta: float
    error: Tensor  # (K, M), ‖Q*_τ - Q^k‖, k = 1 ...
    bound: Tensor  # (K, M)
    value: Tensor  # (K, M), V^k_τ(ρ)
    rate: float  # (error_K / error_1)^(1 / (K - 1)), K the last above rounding; the median of the MDPs
    bound_rate: float  # 1 - β (1 - γ)


def runs(instances: int, seed: int) -> list[Run]:
    """Every β, on the same MDPs, from the uniform policy."""
    mdp = garnet(instances, STATES, ACTIONS, SUCCESSORS, GAMMA, torch.Generator().manual_seed(seed))
    Phi = NegativeEntropy()
    best = optimum(mdp, Phi, TAU)
    found = []
    for beta in BETAS:
        eta = beta / (TAU * (1 - beta)) if beta < 1 else float("inf")
        iterates = mirror_descent(mdp, Phi, constant(eta), tau=TAU)
        start = next(iterates)
        C = bounds.constant_of(best, start.policy, start.Q, beta, TAU)
        steps = list(islice(iterates, ITERATIONS))
        error = torch.stack([(best.Q - step.Q).abs().amax((-2, -1)) for step in steps])
        value = torch.stack([(mdp.rho * step.V).sum(-1) for step in steps])
        bound = torch.stack([bounds.regularised(k, beta, mdp.gamma, C) for k in range(ITERATIONS)])
        found.append(Run(beta, error, bound, value, _rate(error), 1 - beta * (1 - mdp.gamma)))
    return found


def _rate(error: Tensor) -> float:
    """The mean factor of one iteration, of the median MDP."""
    last = (error > _EXACT).sum(0).clamp(min=2) - 1
    reached = error.gather(0, last.unsqueeze(0))[0]
    return float(((reached / error[0]) ** (1 / last)).median())
