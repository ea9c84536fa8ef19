"""How each algorithm differs from DAPO-KL: one sentence and one equation, for `dapo algos`. More is in docs/family.md.

π^θ the policy, π^k the frozen one, ℓ their logarithms, π̂ ∝ (π^k)^{1-β} exp(βQ/τ) the target of a step, f the dual
vector, y = (1-β) ∇Φ(π^k) + βQ/τ its target, g = τf in reward units, Â an advantage, ρ = π^θ/π^k.
"""

from __future__ import annotations

from typing import NamedTuple


class Difference(NamedTuple):
    """What sets an algorithm apart from DAPO-KL."""

    sentence: str
    equation: str


DIFFERENCES = {
    "dapo-kl": Difference(
        "The others are compared with this one: a mirror descent step, whose error is measured in the dual space.",
        "J = E[(1/η) KL(π^θ ‖ π^k) + τ ℓ_θ - Q] = (τ/β) KL(π^θ ‖ π̂) + const,  1/η = τ(1-β)/β",
    ),
    "sac": Difference("DAPO-KL with β = 1: no old policy holds the new one back.", "J = E_{a~π^θ}[τ ℓ_θ - Q]"),
    "dapo-kl-star": Difference(
        "The same divergence with its arguments exchanged, so that the policy covers its target.",
        "J = KL(π̂ ‖ π^θ) = -E_{a~π̂}[ℓ_θ] + const",
    ),
    "dapo-l2": Difference(
        "The squared Euclidean norm is the mirror map, in place of the negative entropy.",
        "J = (1/η) ½ ‖π^θ - π^k‖² + τ ½ ‖π^θ‖² - E_{a~π^θ}[Q]",
    ),
    "dapo-tsallis": Difference(
        "The negative Tsallis entropy of index q is the mirror map, with the negative entropy as q → 1.",
        "J = (1/η) D_Φ(π^θ, π^k) + τ Φ(π^θ) - E_{a~π^θ}[Q],  Φ(p) = Σ (p^q - p)/(q(q-1))",
    ),
    "ampo": Difference(
        "A network of its own is fitted to the dual target by plain squares, and then projected onto the policies.",
        "min_g E[(g - (1-β) g^k - βQ)²],  then  min_θ E_{a~π^θ}[τ ℓ_θ - g]",
    ),
    "mampo": Difference(
        "The log-density is fitted to the dual target by squares, at actions of the old policy and modulo a constant.",
        "J = ½ E_s Var_{a~π^k}[τ ℓ_θ - (1-β) τ ℓ_k - βQ]",
    ),
    "mdpo": Difference(
        "The same loss up to scale with a sampled KL, β = λ/c, and a thousand updates per policy iteration.",
        "J = E_{a~π^θ}[c ℓ_θ - (c - λ) ℓ_k - Q]",
    ),
    "dapo-kl-on": Difference(
        "The same step on rollouts, with advantages in place of Q.",
        "J = (1/η) KL(π^θ ‖ π^k) + τ E[ℓ_θ] - E_{a~π^k}[ρ Â]",
    ),
    "dapo-l2-on": Difference(
        "DAPO-L2's step on rollouts, with advantages in place of Q.",
        "J = (1/η) ½ ‖π^θ - π^k‖² + τ ½ ‖π^θ‖² - E_{a~π^k}[ρ Â]",
    ),
    "mdpo-on": Difference(
        "On rollouts, without a regulariser, and with a step that shrinks.",
        "J = (1/η_k) KL(π^θ ‖ π^k) - E_{a~π^k}[ρ Â]",
    ),
    "ppo": Difference(
        "On rollouts, and no proximity: the ratio of the policies is clipped.",
        "J = -E_{a~π^k}[min(ρ Â, clip(ρ, 1-ε, 1+ε) Â)]",
    ),
}
