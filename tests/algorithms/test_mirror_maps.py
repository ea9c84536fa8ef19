"""Which Bregman divergence belongs to which mirror map, from the definition, on random distributions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor


@pytest.mark.parametrize(
    ("phi", "gradient", "expected"),
    [
        (lambda p: (p * p.log()).sum(-1), lambda p: p.log() + 1, lambda p, q: (p * (p / q).log()).sum(-1)),
        (lambda p: 0.5 * (p * p).sum(-1), lambda p: p, lambda p, q: 0.5 * ((p - q) ** 2).sum(-1)),
    ],
    ids=["negative entropy: KL", "squared norm: half the squared distance"],
)
def test_bregman_divergences(
    phi: Callable[[Tensor], Tensor],
    gradient: Callable[[Tensor], Tensor],
    expected: Callable[[Tensor, Tensor], Tensor],
    generator: torch.Generator,
) -> None:
    """D_Φ(p, q) = Φ(p) - Φ(q) - ⟨∇Φ(q), p - q⟩. A public summary gives the entropy the squared distance: it is not."""
    p, q = (torch.softmax(torch.randn(50, 6, generator=generator, dtype=torch.float64), -1) for _ in range(2))
    divergence = phi(p) - phi(q) - (gradient(q) * (p - q)).sum(-1)
    torch.testing.assert_close(divergence, expected(p, q))
    other = 0.5 * ((p - q) ** 2).sum(-1) if phi(p)[0] < 0 else (p * (p / q).log()).sum(-1)
    assert not torch.allclose(divergence, other, rtol=0.1)
