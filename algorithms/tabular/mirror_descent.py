"""Policy mirror descent, exact: Xiao 2022, arXiv 2201.07443; regularised by the mirror map itself with τ > 0.

π^{k+1}_s = argmax_p ⟨Q^k_s, p⟩ - τ Φ(p) - (1/η_k) D_Φ(p, π^k_s) = ∇Φ*(y^k_s), with the dual target
y^k = (1 - β) ∇Φ(π^k) + β Q^k / τ, β = ητ / (1 + ητ), which is ∇Φ(π^k) + η Q^k at τ = 0, up to scale for sparse maps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import NamedTuple

import torch
from torch import Tensor

from algorithms.core.mirror_maps import MirrorMap
from algorithms.tabular.mdp import MDP
from algorithms.tabular.values import evaluate, greedy

LARGEST_STEP = 1e12  # beyond it the step is greedy to the last digit


class Iterate(NamedTuple):
    """Iteration k: the policy, its values, and the step with which it is left."""

    policy: Tensor  # (M, S, A)
    V: Tensor  # (M, S)
    Q: Tensor  # (M, S, A)
    eta: Tensor  # (M,)


Step = Callable[[int, Tensor, Tensor], Tensor]
"""(k, policy, Q) -> η_k (M,)."""

Improve = Callable[[Tensor], Tensor]
"""The dual target y (M, S, A) -> the next policy: ∇Φ* where the step is exact."""


def mirror_descent(
    mdp: MDP,
    Phi: MirrorMap,
    step: Step,
    *,
    tau: float = 0.0,
    improve: Improve | None = None,
    policy: Tensor | None = None,
) -> Iterator[Iterate]:
    """Iterates without end, from the uniform policy unless one is given."""
    pi = torch.full_like(mdp.r, 1 / mdp.r.shape[-1]) if policy is None else policy
    for k in count():
        values = evaluate(mdp, pi, Phi, tau)
        eta = step(k, pi, values.Q)
        yield Iterate(pi, *values, eta)
        pi = (improve or Phi.project)(dual_target(Phi, pi, values.Q, eta, tau))


def dual_target(Phi: MirrorMap, pi: Tensor, Q: Tensor, eta: Tensor, tau: float) -> Tensor:
    """y, (M, S, A)."""
    eta = eta[:, None, None]
    if tau == 0:
        return Phi.gradient(pi) + eta * Q
    beta = 1 - 1 / (1 + eta * tau)  # 1 for an infinite step
    return (1 - beta) * Phi.gradient(pi) + beta * Q / tau


def constant(eta: float) -> Step:
    """η_k = η."""

    def step(k: int, pi: Tensor, Q: Tensor) -> Tensor:  # noqa: ARG001
        return torch.full_like(Q[:, 0, 0], eta)

    return step


def geometric(eta: float, ratio: Tensor) -> Step:
    """η_k = η ratio^k with a ratio (M,) for each MDP: linear convergence (Xiao 2022)."""

    def step(k: int, pi: Tensor, Q: Tensor) -> Tensor:  # noqa: ARG001
        return (eta * ratio**k).clamp(max=LARGEST_STEP)

    return step


def adaptive(Phi: MirrorMap, gamma: float, c: float = 1.0) -> Step:
    """η_k = D_k / (c γ^{2(k+1)}), with which the error of each step dies faster than γ^k.

    Johnson, Pike-Burke, Rebeschini 2023, arXiv 2302.11381; D_k as in `greedy_divergence`.
    """

    def step(k: int, pi: Tensor, Q: Tensor) -> Tensor:
        return (greedy_divergence(Phi, pi, Q) / (c * gamma ** (2 * (k + 1)))).clamp(1e-12, LARGEST_STEP)

    return step


def greedy_divergence(Phi: MirrorMap, pi: Tensor, Q: Tensor) -> Tensor:
    """D_k = max_s D_Φ(p_s, π_s) with p greedy, (M,); of several greedy policies the first, which bounds the least."""
    return Phi.divergence(greedy(Q), pi).amax(-1)
