"""Exact policy evaluation, by a linear solve, and the exact optimum, by policy iteration; regularised or not."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from algorithms.core.mirror_maps import MirrorMap
from algorithms.tabular.mdp import MDP

_MOST_ITERATIONS = 1000


class Values(NamedTuple):
    """V_τ(s) = ⟨Q_τ(s, ·), π_s⟩ - τ Φ(π_s) and Q_τ(s, a) = r + γ E V_τ(s'), of one policy per MDP."""

    V: Tensor  # (M, S)
    Q: Tensor  # (M, S, A)


class Optimum(NamedTuple):
    """The best policy of each MDP and its values."""

    policy: Tensor  # (M, S, A)
    V: Tensor  # (M, S)
    Q: Tensor  # (M, S, A)


def evaluate(mdp: MDP, policy: Tensor, Phi: MirrorMap | None = None, tau: float = 0.0) -> Values:
    """V = (I - γ P_π)⁻¹ r_π, to rounding; r_π holds -τ Φ(π) where τ > 0."""
    r = (policy * mdp.r).sum(-1)
    if Phi is not None and tau > 0:
        r = r - tau * Phi.phi(policy)
    identity = torch.eye(r.shape[-1], dtype=r.dtype)
    V = torch.linalg.solve(identity - mdp.gamma * transitions(mdp, policy), r)
    return Values(V, backup(mdp, V))


def backup(mdp: MDP, V: Tensor) -> Tensor:
    """r + γ P V, (M, S, A)."""
    M, S, A = mdp.r.shape
    return mdp.r + mdp.gamma * (mdp.P.reshape(M, S * A, S) @ V.unsqueeze(-1)).view(M, S, A)


def transitions(mdp: MDP, policy: Tensor) -> Tensor:
    """P_π, (M, S, S)."""
    P_pi: Tensor = (policy.unsqueeze(-2) @ mdp.P).squeeze(-2)
    return P_pi


def visitation(mdp: MDP, policy: Tensor) -> Tensor:
    """d^π_ρ = (1 - γ) Σ_t γ^t P(s_t = s), (M, S): sums to one."""
    identity = torch.eye(mdp.rho.shape[-1], dtype=mdp.rho.dtype)
    flow = (identity - mdp.gamma * transitions(mdp, policy)).mT
    d: Tensor = (1 - mdp.gamma) * torch.linalg.solve(flow, mdp.rho)
    return d


def optimum(mdp: MDP, Phi: MirrorMap | None = None, tau: float = 0.0) -> Optimum:
    """Policy iteration: π ← greedy(Q), or ∇Φ*(Q / τ) where τ > 0, until Q changes by less than 1e-12 of its scale.

    Exact up to rounding, as the last step shows; RuntimeError if 1000 iterations do not get there.
    """
    policy = torch.full_like(mdp.r, 1 / mdp.r.shape[-1])
    values = evaluate(mdp, policy, Phi, tau)
    for _ in range(_MOST_ITERATIONS):
        before, old = values, policy
        policy = greedy(values.Q) if Phi is None or tau == 0 else Phi.project(values.Q / tau)
        values = evaluate(mdp, policy, Phi, tau)
        close = (values.Q - before.Q).abs().max() <= 1e-12 * (1 + values.Q.abs().max())
        if close or torch.equal(policy, old):
            return Optimum(policy, *values)
    raise RuntimeError(f"policy iteration has not converged in {_MOST_ITERATIONS} iterations")


def greedy(Q: Tensor) -> Tensor:
    """The policy that takes the first best action, (M, S, A)."""
    return torch.nn.functional.one_hot(Q.argmax(-1), Q.shape[-1]).to(Q.dtype)
