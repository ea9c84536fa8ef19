"""What tells why an algorithm learns or does not. Measured now and then, never fed back into training.

Symbols: f the dual vector that stands for the policy π^θ, y = (1 - β) f^k + β Q/τ its target, π̂ = ∇Φ*(y).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from algorithms.core.tanh_gaussian import Gaussian
from algorithms.core.types import Batch, Draw, Metrics
from algorithms.family.actor_critic import ActorCritic, Regulariser

GRID_STATES, GRID_ACTIONS, GRID_POINTS = 4, 2, 33  # more of them would cost a run more than 1 %
OldDual = Callable[[Tensor, Draw], Tensor]


def dual_errors(
    model: ActorCritic,
    state: Any,
    old_actor: Tensor,
    s: Tensor,
    noise: Tensor,
    tau: Tensor,
    beta: Tensor,
    old_dual: OldDual | None = None,
    kept: Any = None,
) -> Metrics:
    """For the negative entropy, where f = log π^θ and f^k = log π^k unless `old_dual` gives another, in units of 1.

    The target is y = (1 - β) f^k + β Q/τ, or with `kept` for the first factor.

    `divergence` is KL(π^θ ‖ π̂) = D_Φ(π^θ, π̂); of continuous actions the normaliser of π̂ is by importance sampling
    from π^θ, which makes it a lower bound in expectation. `dual_error` is ½ Var_{a~π^θ}[f - y], the squared error
    modulo the constant per state that no policy sees. `kl_old` is KL(π^θ ‖ π^k). Means over the states s (B, S); noise
    (K, B, A).
    """
    policy = model.policy
    pi, old = policy.distribution(state.actor, s), policy.distribution(old_actor, s)
    draws = policy.draw(pi, noise)
    f_k = policy.log_prob_of(old, draws) if old_dual is None else old_dual(s, draws)
    y = (1 - beta if kept is None else kept) * f_k + beta * model.critic.of_draw(state.critic, s, draws) / tau
    x = draws.log_prob - y
    divergence = policy.mean(draws, x) + policy.log_mean_exp(draws, -x)
    return {
        "divergence": divergence.mean(),
        "dual_error": 0.5 * policy.variance(draws, x).mean(),
        "kl_old": policy.kl(pi, old).mean(),
    }


def l2_errors(
    model: ActorCritic, state: Any, old_actor: Tensor, s: Tensor, noise: Tensor, tau: Tensor, beta: Tensor
) -> Metrics:
    """The same for the squared Euclidean norm, where f = π^θ_i, f^k = π^k_i in each dimension i of the action.

    Q_i(a_i) is the mean of Q over π^θ's other dimensions. The projection π̂_i = [y_i - λ]₊ and the integrals are
    computed on a grid, for a few of the states. `divergence` is ½ Σ_i ‖π^θ_i - π̂_i‖², `dual_error` the conjugate's
    Bregman divergence D_{Φ*}(y, f) = Φ*(y) + Φ(π^θ) - ⟨y, π^θ⟩, `kl_old` KL(π^θ ‖ π^k).
    """
    policy: Any = model.policy  # a tanh-Gaussian
    s, noise = s[:GRID_STATES], noise[:GRID_ACTIONS, :GRID_STATES]
    (K, B, A), critic = noise.shape, model.critic
    pi, old = policy.distribution(state.actor, s), policy.distribution(old_actor, s)
    u = _grid(pi, old)  # (G, B, A), ascending
    cells = F.pad(torch.diff(u, dim=0), (0, 0, 0, 0, 1, 1))
    weights = 0.5 * (cells[1:] + cells[:-1]) / torch.cosh(u) ** 2  # trapezoids in u; da = du / cosh² u
    joint = policy.draw(pi, noise).action.expand(len(u), A, K, B, A).clone()  # one coordinate of each is replaced
    for i in range(A):
        joint[:, i, :, :, i] = torch.tanh(u[:, None, :, i])
    rows = s.expand(len(u) * A * K, *s.shape).flatten(0, 1)
    q = critic.joint(state.critic, rows, joint.flatten(0, 3)).view(len(u), A, K, B).mean(2).mT  # (G, B, A)

    f, f_k = (policy.log_densities(g, u).exp() for g in (pi, old))
    f, f_k = f / (weights * f).sum(0), f_k / (weights * f_k).sum(0)
    y = (1 - beta) * f_k + beta * q / tau
    low, high = y.amin(0) - 1, y.amax(0)
    for _ in range(60):  # λ by bisection: the mass of [y - λ]₊ falls from more than 1 to 0 (actions have length 2)
        middle = 0.5 * (low + high)
        too_much = (weights * (y - middle).clamp(min=0)).sum(0) > 1
        low, high = torch.where(too_much, middle, low), torch.where(too_much, high, middle)
    p = (y - 0.5 * (low + high)).clamp(min=0)

    def inner(v: Tensor, w: Tensor) -> Tensor:
        return (weights * v * w).sum((0, 2)).mean()

    return {
        "divergence": 0.5 * inner(f - p, f - p),
        "dual_error": inner(y, p) - 0.5 * inner(p, p) + 0.5 * inner(f, f) - inner(y, f),
        "kl_old": policy.kl(pi, old).mean(),
    }


def _grid(pi: Gaussian, old: Gaussian) -> Tensor:
    """Pre-tanh points (G, B, A) that resolve both densities and cover the whole range of actions."""
    z = torch.linspace(-4, 4, GRID_POINTS, device=pi.mean.device)[:, None, None]
    wide = (1.4 * z).expand(-1, *pi.mean.shape)  # as finely near the bounds, where a projection may pile up
    points = [wide, *(g.mean + g.log_std.exp() * z for g in (pi, old))]
    return torch.cat(points).sort(0).values


def q_overestimation(
    model: ActorCritic, state: Any, regulariser: Regulariser, episode: Batch, noise: Tensor, c: Any
) -> Metrics:
    """The critics' values of the pairs of one episode of the current policy against the returns that followed.

    The soft return G_t = r_t + γ (1 - terminated) (G_{t+1} - τ Φ(π_{s_{t+1}})) has the terms of the critics' own
    target, and their estimate after the last step where the episode was truncated. `episode` is in order, noise (B, A).
    `q_overestimation` is the mean of Q - G, `soft_return` that of G.
    """
    s, a, r, s2, bootstrap = episode
    pi = model.policy.distribution(state.actor, s2)
    draw = model.policy.draw(pi, noise)
    phi = model.temperature(state, c) * regulariser(model, pi, draw)
    G = model.policy.expectation(draw, model.critic.of_draw(state.critic, s2, draw))[-1].item()
    soft_returns = []
    for reward, discount, regularisation in zip(
        *((x.tolist()[::-1]) for x in (r, c.gamma * bootstrap, phi)), strict=True
    ):
        G = reward + discount * (G - regularisation)
        soft_returns.append(G)
    soft_return = torch.tensor(soft_returns).mean()
    return {"q_overestimation": model.critic.joint(state.critic, s, a).mean() - soft_return, "soft_return": soft_return}
