"""T1 to T7: what each says, who said it, and to which mirror maps it applies."""

from __future__ import annotations

from typing import NamedTuple

XIAO = "Xiao 2022, arXiv 2201.07443"
CEN = "Cen et al. 2020, arXiv 2007.06558"
JOHNSON = "Johnson et al. 2023, arXiv 2302.11381"
ALFANO = "Alfano et al. 2023, arXiv 2301.13139"

NOTE = (
    "The constants of DAPO's own theorem (arXiv 2410.01249) are not known to us, so it is not checked here. "
    f"T1 to T4 and T6 are earlier authors' results ({XIAO}; {JOHNSON}; {CEN}), T5 and T7 follow from them. "
    f"AMPO is that of {ALFANO}."
)


class Statement(NamedTuple):
    """One theorem. `maps` are names of MAPS."""

    name: str
    title: str
    claim: str
    source: str
    maps: tuple[str, ...]


MAPS = {"kl": 1.0, "l2": 2.0, "tsallis-0.5": 0.5, "tsallis-1.5": 1.5, "tsallis-3": 3.0}
"""Mirror map -> q of the Tsallis family."""

_ALL = tuple(MAPS)
_CONVEX = ("kl", "l2", "tsallis-0.5", "tsallis-1.5")  # strongly: q ≤ 2

STATEMENTS = (
    Statement("T1", "monotone", "V^{k+1} ≥ V^k in every state", XIAO, _ALL),
    Statement("T2", "sublinear, fixed η", "δ_k ≤ [D*₀/((1−γ)η) + 1/(1−γ)²]/(k+1)", XIAO, _ALL),
    Statement("T3", "linear, growing η", "δ_k ≤ (1−1/ϑ)^k [δ₀ + D*₀/((1−γ)η₀(ϑ−1))]", XIAO, _ALL),
    Statement("T4", "one exact step", "‖V*−V^{k+1}‖ ≤ γ‖V*−V^k‖ + D_k/η_k", JOHNSON, _ALL),
    Statement("T5", "one inexact step", "T4's bound + √(2cε)/(2(1−γ)²)", "follows from T4", _CONVEX),
    Statement("T6", "regularised, β", "‖Q*−Q^{k+1}‖ ≤ γ(1−β(1−γ))^k C", CEN, ("kl",)),
    Statement(
        "T7",
        "linear to a floor",
        "‖V*−V^k‖ ≤ γ^k‖V*−V⁰‖ + Σ_j γ^{k−1−j} D_j/η_j + √(2cε)/(2(1−γ)³)",
        "follows from T4 and T5",
        _CONVEX,
    ),
)
