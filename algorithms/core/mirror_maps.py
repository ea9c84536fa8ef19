"""Mirror maps Φ on the simplex: the value, both mirrors ∇Φ and ∇Φ*, and both Bregman divergences, one class per map.

Sources: the Legendre pair in policy mirror descent, Xiao 2022, arXiv 2201.07443, and Alfano et al. 2023, arXiv
2301.13139; sparsemax, Martins & Astudillo 2016, arXiv 1602.02068; Tsallis, Blondel et al. 2019, arXiv 1901.02324.
Last axis: the n actions; axes before it: a batch. Both floating types, inside torch.func.grad, vmap and torch.compile.
Derivatives are right to first order; a second derivative of a sparse or Tsallis projection is not given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from importlib import metadata
from typing import Protocol, cast

import torch
from torch import Tensor

ENTRY_POINT_GROUP = "dapo.mirror_maps"


class MirrorMap(Protocol):
    """A strictly convex Φ on the simplex. p, q are distributions (..., n); x, y are dual vectors (..., n)."""

    def phi(self, p: Tensor) -> Tensor:
        """Φ(p), (...)."""

    def gradient(self, p: Tensor) -> Tensor:
        """∇Φ(p) up to a constant per distribution, (..., n); always finite."""

    def project(self, y: Tensor) -> Tensor:
        """∇Φ*(y) = argmax_p ⟨y, p⟩ - Φ(p) over the simplex, (..., n)."""

    def conjugate(self, y: Tensor) -> Tensor:
        """Φ*(y) = max_p ⟨y, p⟩ - Φ(p) over the simplex, (...); its gradient is ∇Φ*(y)."""

    def divergence(self, p: Tensor, q: Tensor) -> Tensor:
        """D_Φ(p, q) = Φ(p) - Φ(q) - ⟨∇Φ(q), p - q⟩, (...)."""

    def slope(self, p: Tensor) -> Tensor:
        """s = 1 / Φ''(p), (..., n), finite and 0 outside the support: ∇²Φ* = diag(s) - s sᵀ / Σs at p = ∇Φ*(y)."""

    def dual_divergence(self, x: Tensor, y: Tensor) -> Tensor:
        """D_Φ*(x, y) = Φ*(x) - Φ*(y) - ⟨∇Φ*(y), x - y⟩ = Φ*(x) + Φ(p) - ⟨x, p⟩ with p = ∇Φ*(y), (...)."""


@dataclass(frozen=True)
class NegativeEntropy:
    """Φ(p) = Σ p log p: softmax, KL. A probability below `least` counts as that, so that log 0 is finite."""

    def phi(self, p: Tensor) -> Tensor:
        """Minus the entropy, in nats."""
        return (p * _log(p)).sum(-1)

    def gradient(self, p: Tensor) -> Tensor:
        """log p."""
        return _log(p)

    def project(self, y: Tensor) -> Tensor:
        """softmax(y)."""
        return torch.softmax(y, -1)

    def conjugate(self, y: Tensor) -> Tensor:
        """log Σ exp y."""
        return torch.logsumexp(y, -1)

    def divergence(self, p: Tensor, q: Tensor) -> Tensor:
        """KL(p ‖ q)."""
        return (p * (_log(p) - _log(q))).sum(-1)

    def slope(self, p: Tensor) -> Tensor:
        """p itself."""
        return p

    def dual_divergence(self, x: Tensor, y: Tensor) -> Tensor:
        """KL(softmax y ‖ softmax x), from the dual vectors' own logarithms."""
        log_p = torch.log_softmax(y, -1)
        return (log_p.exp() * (log_p - torch.log_softmax(x, -1))).sum(-1)


@dataclass(frozen=True)
class SquaredL2:
    """Φ(p) = ½ Σ p² + `constant`: the Euclidean projection, half the squared distance."""

    constant: float = field(default=0.0, repr=False)  # a regulariser -τ Φ pays it in every step of an episode

    def phi(self, p: Tensor) -> Tensor:
        """Half the squared norm, and the constant."""
        return 0.5 * (p * p).sum(-1) + self.constant

    def gradient(self, p: Tensor) -> Tensor:
        """p itself."""
        return p

    def project(self, y: Tensor) -> Tensor:
        """Sparsemax: [y - ν]₊ with the ν at which it sums to one, found by sorting."""
        y = _bounded(y)
        z = y.detach() - y.detach().amax(-1, keepdim=True)
        z_sorted = z.sort(-1, descending=True).values
        k = torch.arange(1, z.shape[-1] + 1, dtype=z.dtype, device=z.device)
        nu = (z_sorted.cumsum(-1) - 1) / k  # were the first k actions the support
        support = (z_sorted > nu).sum(-1, keepdim=True)
        p = (z - nu.gather(-1, support - 1)).clamp(min=0)
        p = p / p.sum(-1, keepdim=True)
        return _differentiable(p, self.slope(p), y)

    def conjugate(self, y: Tensor) -> Tensor:
        """⟨y, p⟩ - Φ(p) at p = ∇Φ*(y)."""
        return _conjugate(self, y)

    def divergence(self, p: Tensor, q: Tensor) -> Tensor:
        """½ ‖p - q‖²."""
        return 0.5 * ((p - q) ** 2).sum(-1)

    def slope(self, p: Tensor) -> Tensor:
        """1 in the support."""
        return (p > 0).to(p.dtype)

    def dual_divergence(self, x: Tensor, y: Tensor) -> Tensor:
        """Not symmetric: outside the simplex the projection loses what D_Φ* keeps."""
        return _dual_divergence(self, x, y)


@dataclass(frozen=True)
class Tsallis:
    """Φ(p) = Σ (p^q - p) / (q (q - 1)), 0 < q ≠ 1: the entropy as q → 1, ½ Σ p² - ½ at q = 2; sparse for q > 1."""

    q: float

    def __post_init__(self) -> None:
        if not (0 < self.q < math.inf and self.q != 1):
            raise ValueError(f"q = {self.q}: q is positive, and q = 1 is NegativeEntropy: use mirror_map(q)")

    def phi(self, p: Tensor) -> Tensor:
        """Minus the Tsallis entropy, divided by q."""
        return (p * self.gradient(p)).sum(-1) / self.q

    def gradient(self, p: Tensor) -> Tensor:
        """(p^(q - 1) - 1) / (q - 1), which is p^(q - 1) / (q - 1) up to a constant, and log p as q → 1."""
        e = self.q - 1
        g = torch.expm1(e * _log(p)) / e
        return torch.where(p > 0, g, -1 / e) if e > 0 else g

    def project(self, y: Tensor) -> Tensor:
        """p = [1 + (q - 1)(y - ν)]₊^(1 / (q - 1)) with the ν at which it sums to one."""
        y = _bounded(y)
        w = (self.q - 1) * (y.detach() - y.detach().amax(-1, keepdim=True))
        p, slope = self._at(w, self._normaliser(w))
        return _differentiable(p / p.sum(-1, keepdim=True), slope.clamp(max=torch.finfo(p.dtype).eps ** -0.5), y)

    def conjugate(self, y: Tensor) -> Tensor:
        """⟨y, p⟩ - Φ(p) at p = ∇Φ*(y)."""
        return _conjugate(self, y)

    def divergence(self, p: Tensor, q: Tensor) -> Tensor:
        """Σ (p^q - q p b^(q - 1) + (q - 1) b^q) / (q (q - 1)) with b for q; no cancellation near q = 1."""
        g_p, g_b = self.gradient(p), self.gradient(q)
        return ((p * (g_p - g_b)).sum(-1) - (self.q - 1) * ((p - q) * g_b).sum(-1)) / self.q

    def slope(self, p: Tensor) -> Tensor:
        """p^(2 - q); cut off for q > 2, where it is infinite at p = 0 although ∇²Φ* is not."""
        s = ((2 - self.q) * _log(p)).exp().clamp(max=torch.finfo(p.dtype).eps ** -0.5)
        return torch.where(p > 0, s, 0.0)

    def dual_divergence(self, x: Tensor, y: Tensor) -> Tensor:
        """By Fenchel's equality."""
        return _dual_divergence(self, x, y)

    def _at(self, w: Tensor, nu: Tensor) -> tuple[Tensor, Tensor]:
        """p = [1 + w - ν]₊^(1 / (q - 1)) and dp/dy = p^(2 - q), both (..., n); 0 outside the support."""
        e, eps = self.q - 1, torch.finfo(w.dtype).eps
        u = w - nu
        if e > 0:  # log 0 and 0 / 0 cost a processor many times an ordinary number: cut off before, and p again after
            u = u.clamp(min=eps - 1)
        base = 1 + u
        p = ((torch.log1p(u) if abs(e) < 0.1 else base.log()) * (1 / e)).exp()  # the former is slower, and exact near 0
        if e > 0:
            p = torch.threshold(p, 1.001 * eps ** (1 / e), 0.0)
        return p, p / base

    def _normaliser(self, w: Tensor) -> Tensor:
        """The ν (..., 1) at which S = Σ p is 1, of w = (q - 1) y (..., n) where the maximum of y is 0."""
        e, n = self.q - 1, w.shape[-1]
        width = -math.expm1(-e * math.log(n))  # at ν = 0 the largest p is 1; at ν = width, S is at most 1
        nu = torch.zeros_like(w[..., :1])
        if self.q > 2:  # p has an infinite slope where an action enters: only bisection is sure
            low, high = nu, nu + width
            for _ in range(52 if w.dtype == torch.float64 else 24):
                nu = 0.5 * (low + high)
                inside = self._at(w, nu)[0].sum(-1, keepdim=True) >= 1
                low, high = torch.where(inside, nu, low), torch.where(inside, high, nu)
            return 0.5 * (low + high)
        # (S^(q - 1) - 1) / (q - 1) is convex in ν / (q - 1) and falls: from where S ≥ 1 Newton never passes the root.
        # For q > 1 so is p, and S ≥ n p(mean w - ν): of two starts the nearer.
        if e > 0:
            nu = (w.mean(-1, keepdim=True) + width).clamp(min=0)
        for _ in range(_newton_steps(n)):
            p, slope = self._at(w, nu)
            S = p.sum(-1, keepdim=True)
            nu = nu - S * torch.expm1(-e * S.log()) / slope.sum(-1, keepdim=True)
        return nu


def _newton_steps(n: int) -> int:
    """Enough for n actions: p is right to 1e-12 for all q ≤ 2, n ≤ 1001 [test]."""
    return 3 + (n.bit_length() + 1) // 2


def mirror_map(q: float) -> MirrorMap:
    """The Tsallis family by q: 1 is the negative entropy, 2 ½ Σ p² - ½; ValueError unless 0 < q < ∞."""
    special: dict[float, MirrorMap] = {1.0: NegativeEntropy(), 2.0: SquaredL2(-0.5)}
    return special.get(float(q)) or Tsallis(float(q))


def offered() -> list[str]:
    """Names of the mirror maps that other packages offer, sorted."""
    return sorted(metadata.entry_points(group=ENTRY_POINT_GROUP).names)


def of_package(name: str) -> MirrorMap:
    """The mirror map that a package offers under this name: a class, made without arguments, or an instance.

    Raises ValueError for a name that no package offers, and for what is no mirror map.
    """
    points = list(metadata.entry_points(group=ENTRY_POINT_GROUP, name=name))
    if not points:
        remedy = f"choose one of {', '.join(offered())}" if offered() else "no package offers one (docs/plugin.md)"
        raise ValueError(f"no mirror map is called '{name}': {remedy}")
    try:
        found = points[0].load()
        Phi = found() if isinstance(found, type) else found
    except Exception as error:  # whatever a package's own code raises
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        remedy = "repair or uninstall its package"
        raise ValueError(f"the mirror map '{name}' cannot be loaded ({cause}): {remedy}") from error
    missing = [part for part in vars(MirrorMap) if not part.startswith("_") and not hasattr(Phi, part)]
    if missing:
        raise ValueError(f"the mirror map '{name}' lacks {', '.join(missing)}: its package must offer all of MirrorMap")
    return cast("MirrorMap", Phi)


def least(dtype: torch.dtype) -> float:
    """The probability below which a logarithm is cut off: its gradient must stay finite, too."""
    return 1e-30 if dtype == torch.float32 else 1e-300


def _log(p: Tensor) -> Tensor:
    return p.clamp(min=least(p.dtype)).log()


def _bounded(y: Tensor) -> Tensor:
    """The same with the least number for -∞, an action that is ruled out: 0 · ∞ and ∞ - ∞ must not become NaN."""
    return y.clamp(min=torch.finfo(y.dtype).min / 4)


def _differentiable(p: Tensor, slope: Tensor, y: Tensor) -> Tensor:
    """The number p with the derivative dp/dy = diag(s) - s sᵀ / Σs of s = `slope`: plus a linear function that is 0."""
    dy = y - y.detach()
    mean = (slope * dy).sum(-1, keepdim=True) / slope.sum(-1, keepdim=True)
    return p + slope * (dy - mean)


def _conjugate(Phi: MirrorMap, y: Tensor) -> Tensor:
    """Φ*(y); the largest entry is taken out first, so that large dual values cost no digits."""
    y = _bounded(y)
    p, top = Phi.project(y).detach(), y.detach().amax(-1, keepdim=True)
    return top.squeeze(-1) + (p * (y - top)).sum(-1) - Phi.phi(p)


def _dual_divergence(Phi: MirrorMap, x: Tensor, y: Tensor) -> Tensor:
    """Φ*(x) + Φ(p) - ⟨x, p⟩ with p = ∇Φ*(y)."""
    p, x = Phi.project(y), x - x.detach().amax(-1, keepdim=True)
    return Phi.conjugate(x) + Phi.phi(p) - (x * p).sum(-1)
