"""What the theorems say about exact and inexact policy mirror descent: each right-hand side, for rewards in [0, 1].

δ_k = V*(ρ) - V^k(ρ); D*_0 = E_{s~d*} D_Φ(π*_s, π^0_s) with d* the discounted visitation of π* from ρ;
D_k = max_s D_Φ(greedy(Q^k_s), π^k_s). Norms of values are maxima over states. Everything is (M,) unless said.
None of these is the theorem of the DAPO paper, whose constants we do not know: they are earlier authors', or follow.
Xiao 2022: arXiv 2201.07443. Cen, Cheng, Chen, Wei, Chi 2020: arXiv 2007.06558.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from algorithms.core.mirror_maps import MirrorMap, NegativeEntropy, SquaredL2, Tsallis
from algorithms.tabular.mdp import MDP
from algorithms.tabular.values import Optimum, visitation


class Start(NamedTuple):
    """What the bounds on δ_k need to know about an MDP and the first policy."""

    divergence: Tensor  # D*_0
    mismatch: Tensor  # ϑ = max_s d*(s)/ρ(s) / (1 - γ) > 1
    gap: Tensor  # δ_0


def start(mdp: MDP, Phi: MirrorMap, best: Optimum, policy: Tensor, V: Tensor) -> Start:
    """Of the first policy (M, S, A) with values V (M, S)."""
    d = visitation(mdp, best.policy)
    divergence = (d * Phi.divergence(best.policy, policy)).sum(-1)
    return Start(divergence, (d / mdp.rho).amax(-1) / (1 - mdp.gamma), (mdp.rho * (best.V - V)).sum(-1))


def sublinear(k: int, eta: float, gamma: float, of: Start, *, start_term: bool = True, tail: bool = True) -> Tensor:
    """T2, constant step: δ_k ≤ [D*_0 / ((1 - γ) η) + 1 / (1 - γ)²] / (k + 1). Xiao 2022."""
    first = of.divergence / ((1 - gamma) * eta) if start_term else torch.zeros_like(of.gap)
    return (first + (1 / (1 - gamma) ** 2 if tail else 0.0)) / (k + 1)


def linear(k: int, eta: float, gamma: float, of: Start, *, start_term: bool = True) -> Tensor:
    """T3, η_{k+1} ≥ η_k ϑ/(ϑ - 1): δ_k ≤ (1 - 1/ϑ)^k [δ_0 + D*_0 / ((1 - γ) η_0 (ϑ - 1))]. Xiao 2022."""
    first = of.divergence / ((1 - gamma) * eta * (of.mismatch - 1)) if start_term else 0.0
    return (1 - 1 / of.mismatch) ** k * (of.gap + first)


def one_step(gap: Tensor, gamma: float, term: Tensor | float) -> Tensor:
    """T4: ‖V* - V^{k+1}‖ ≤ γ ‖V* - V^k‖ + D_k/η_k, term = D_k/η_k. Johnson et al. 2023, arXiv 2302.11381.

    Repeated from ‖V* - V^0‖ it is T7: γ^k ‖V* - V^0‖ + Σ_j γ^{k-1-j} D_j/η_j, for inexact steps with `floor` on top.
    """
    return gamma * gap + term


def harm(Phi: MirrorMap, epsilon: Tensor | float, gamma: float, actions: int) -> Tensor | float:
    """T5: what a divergence of at most ε from the exact step, in any state, adds to T4: √(2cε) / (2 (1 - γ)²).

    ‖π - π̂‖₁ ≤ √(2cε) with c = `convexity`; ⟨Q, π - π̂⟩ ≤ ½ ‖π - π̂‖₁ / (1 - γ) in one step, and 1 / (1 - γ) times
    that in the values of the policy.
    """
    return (2 * convexity(Phi, actions) * epsilon) ** 0.5 / (2 * (1 - gamma) ** 2)


def floor(Phi: MirrorMap, epsilon: Tensor | float, gamma: float, actions: int) -> Tensor | float:
    """What T5's cost of every step adds up to, Σ_j γ^j: the level that the bound of T7 does not go below."""
    return harm(Phi, epsilon, gamma, actions) / (1 - gamma)


def regularised(k: int, beta: float, gamma: float, C: Tensor) -> Tensor:
    """T6, Φ the negative entropy and β constant: ‖Q* - Q^{k+1}‖ ≤ γ (1 - β (1 - γ))^k C. Cen et al. 2020.

    C = ‖Q* - Q^0‖ + 2 τ (1 - β) ‖log π* - log π^0‖, see `constant_of`. At β = 1, which is SAC's step, the rate is γ.
    """
    return gamma * (1 - beta * (1 - gamma)) ** k * C


def constant_of(best: Optimum, policy: Tensor, Q: Tensor, beta: float, tau: float) -> Tensor:
    """C of T6."""
    logs = (best.policy.log() - policy.log()).abs().amax((-2, -1))
    return (best.Q - Q).abs().amax((-2, -1)) + 2 * tau * (1 - beta) * logs


def convexity(Phi: MirrorMap, actions: int) -> float:
    """The c with ‖p - q‖₁² ≤ 2 c D_Φ(p, q) on the simplex: 1 for the entropy (Pinsker), n for ½ Σ p².

    For Tsallis the second derivative is p^(q - 2), and by Cauchy ‖h‖₁² ≤ Σ p^(q - 2) h² Σ p^(2 - q): c is the largest
    Σ p^(2 - q), n^(q - 1) for q > 1 and 1 for q < 1. ValueError for q > 2: such a Φ is not strongly convex.
    """
    q = {NegativeEntropy: 1.0, SquaredL2: 2.0}.get(type(Phi)) or (Phi.q if isinstance(Phi, Tsallis) else 3.0)
    if q > 2:
        raise ValueError(f"{Phi} is not strongly convex: no bound on the distance of policies follows from D_Φ")
    return float(max(1.0, actions ** (q - 1)))
