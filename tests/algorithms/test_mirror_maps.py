"""The mirror maps: definitions, projections and identities on random distributions, in both precisions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import grad, vmap

from algorithms.core.mirror_maps import MirrorMap, NegativeEntropy, SquaredL2, Tsallis, mirror_map

QS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)
EXAMPLES = settings(max_examples=25, deadline=None)


@pytest.mark.parametrize(
    ("Phi", "phi", "gradient", "expected"),
    [
        (
            NegativeEntropy(),
            lambda p: (p * p.log()).sum(-1),
            lambda p: p.log() + 1,
            lambda p, q: (p * (p / q).log()).sum(-1),
        ),
        (SquaredL2(), lambda p: 0.5 * (p * p).sum(-1), lambda p: p, lambda p, q: 0.5 * ((p - q) ** 2).sum(-1)),
    ],
    ids=["negative entropy: KL", "squared norm: half the squared distance"],
)
def test_bregman_divergences(
    Phi: MirrorMap,
    phi: Callable[[Tensor], Tensor],
    gradient: Callable[[Tensor], Tensor],
    expected: Callable[[Tensor, Tensor], Tensor],
    generator: torch.Generator,
) -> None:
    """D_Φ(p, q) = Φ(p) - Φ(q) - ⟨∇Φ(q), p - q⟩. A public summary gives the entropy the squared distance: it is not."""
    p, q = (torch.softmax(torch.randn(50, 6, generator=generator, dtype=torch.float64), -1) for _ in range(2))
    divergence = phi(p) - phi(q) - (gradient(q) * (p - q)).sum(-1)
    torch.testing.assert_close(divergence, expected(p, q))
    torch.testing.assert_close(Phi.divergence(p, q), divergence)
    other = 0.5 * ((p - q) ** 2).sum(-1) if phi(p)[0] < 0 else (p * (p / q).log()).sum(-1)
    assert not torch.allclose(divergence, other, rtol=0.1)


def dual_vectors(generator_seed: int, n: int, scale: float, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(generator_seed)
    return (scale * torch.randn(20, n, generator=generator, dtype=torch.float64)).to(dtype)


SEEDS, SIZES, SCALES = st.integers(0, 10_000), st.integers(2, 12), st.sampled_from([1e-3, 0.3, 1.0, 10.0, 1e4])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("q", QS)
@given(seed=SEEDS, n=SIZES, scale=SCALES)
@EXAMPLES
def test_a_projection_is_a_distribution_that_maximises(q, dtype, seed, n, scale):
    """On the simplex, blind to a constant, keeps the order; and no vertex or other distribution is better."""
    Phi, y = mirror_map(q), dual_vectors(seed, n, scale, dtype)
    single = dtype == torch.float32
    p = Phi.project(y)
    assert p.isfinite().all()
    assert (p >= 0).all()
    torch.testing.assert_close(p.sum(-1), torch.ones_like(p[:, 0]))
    # q > 2: p is a root of the dual vector, and so is its rounding.
    shift = 1.0 if scale < 100 else 0.0
    torch.testing.assert_close(Phi.project(y + shift), p, rtol=1e-3, atol=(3e-2 if q > 2 else 1e-4) if single else 1e-5)
    ordered = p.gather(-1, y.argsort(-1))
    assert (ordered.diff(dim=-1) >= -1e-6).all()
    others = torch.cat([torch.eye(n, dtype=dtype), torch.full((1, n), 1 / n, dtype=dtype), p[:3]])
    value = (y * p).sum(-1) - Phi.phi(p)
    rivals = y @ others.T - Phi.phi(others)
    assert (rivals <= value.unsqueeze(-1) + (1e-5 if single else 1e-9) * (1 + scale)).all()
    torch.testing.assert_close(Phi.conjugate(y), value, rtol=1e-5 if single else 1e-9, atol=1e-4 if single else 1e-9)


@pytest.mark.parametrize("q", QS)
@given(seed=SEEDS, n=SIZES, scale=st.sampled_from([0.3, 1.0, 3.0]))
@EXAMPLES
def test_the_divergences_are_their_definitions(q, seed, n, scale):
    """D_Φ by an independent gradient; D_Φ*(x, y) by Φ* and ∇Φ*, and by Fenchel's equality; both are not negative."""
    Phi, x, y = mirror_map(q), dual_vectors(seed, n, scale), dual_vectors(seed + 1, n, scale)
    p, r = torch.softmax(x, -1), torch.softmax(y, -1)
    slope = grad(lambda r: Phi.phi(r).sum())(r)
    torch.testing.assert_close(Phi.divergence(p, r), Phi.phi(p) - Phi.phi(r) - (slope * (p - r)).sum(-1))
    torch.testing.assert_close((Phi.gradient(r) - slope).var(-1), torch.zeros(20, dtype=torch.float64))
    dual = Phi.conjugate(x) - Phi.conjugate(y) - (Phi.project(y) * (x - y)).sum(-1)
    torch.testing.assert_close(Phi.dual_divergence(x, y), dual)
    pi = Phi.project(y)
    torch.testing.assert_close(dual, Phi.conjugate(x) + Phi.phi(pi) - (x * pi).sum(-1))
    assert (Phi.divergence(p, r) >= -1e-12).all()
    assert (dual >= -1e-9).all()
    torch.testing.assert_close(Phi.project(Phi.gradient(p)), p, rtol=1e-6, atol=1e-7)


@given(seed=SEEDS, n=SIZES, scale=SCALES)
@EXAMPLES
def test_the_dual_divergence_of_each_map(seed, n, scale):
    """For logsumexp D_Φ*(x, y) = KL(softmax y ‖ softmax x); for L2 what the projection loses is in the formula."""
    x, y = dual_vectors(seed, n, scale), dual_vectors(seed + 1, n, scale)
    entropy, l2 = NegativeEntropy(), SquaredL2()
    if scale < 100:  # beyond, the probabilities underflow; the dual vectors do not
        expected = entropy.divergence(torch.softmax(y, -1), torch.softmax(x, -1))
        torch.testing.assert_close(entropy.dual_divergence(x, y), expected)
    # Shifted so that x - p(x) is what the projection took away: D does not see a constant.
    p, r = l2.project(x), l2.project(y)
    expected = 0.5 * ((p - r) ** 2).sum(-1) + ((x - p) * (p - r)).sum(-1)
    torch.testing.assert_close(l2.dual_divergence(x, y), expected, rtol=1e-9, atol=1e-9 * (1 + scale))
    assert (l2.dual_divergence(x, y) <= 0.5 * ((x - y) ** 2).sum(-1) + 1e-9 * (1 + scale)).all()


@pytest.mark.parametrize(("q", "near"), [(1.0, 1 + 1e-6), (1.0, 1 - 1e-6), (2.0, 2 + 1e-6), (2.0, 2 - 1e-6)])
@given(seed=SEEDS, n=SIZES, scale=st.sampled_from([1e-3, 0.3, 3.0]))
@EXAMPLES
def test_the_tsallis_family_meets_its_members(q, near, seed, n, scale):
    """Φ, ∇Φ up to a constant, the projection and both divergences."""
    member, Phi, x, y = mirror_map(q), Tsallis(near), dual_vectors(seed, n, scale), dual_vectors(seed + 1, n, scale)
    p, r = torch.softmax(x, -1), torch.softmax(y, -1)
    close = {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(Phi.phi(p), member.phi(p), **close)
    torch.testing.assert_close(Phi.project(y), member.project(y), **close)
    torch.testing.assert_close(Phi.divergence(p, r), member.divergence(p, r), **close)
    torch.testing.assert_close(Phi.dual_divergence(x, y), member.dual_divergence(x, y), **close)
    difference = Phi.gradient(p) - member.gradient(p)
    # to the next order the difference is ½ (q - 1) log² p
    torch.testing.assert_close(difference - difference[..., :1], torch.zeros_like(p), rtol=0, atol=2e-4)
    single = Tsallis(near).project(y.float())
    torch.testing.assert_close(single.double(), member.project(y), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("q", QS)
def test_an_action_that_is_ruled_out_has_no_probability(q, dtype, generator):
    """-∞ in a dual vector: the others' projection is as without it, and values and derivatives are finite."""
    Phi, y = mirror_map(q), torch.randn(20, 4, generator=generator, dtype=dtype)
    ruled_out = torch.cat([y[:, :2], torch.full((20, 1), -torch.inf, dtype=dtype), y[:, 2:]], -1)
    p = Phi.project(ruled_out)
    torch.testing.assert_close(p[:, [0, 1, 3, 4]], Phi.project(y), rtol=1e-4, atol=1e-6)
    assert p[:, 2].max() < 1e-6
    torch.testing.assert_close(Phi.conjugate(ruled_out), Phi.conjugate(y), rtol=1e-4, atol=1e-5)
    assert torch.isfinite(grad(lambda y: (Phi.project(y) ** 2).sum())(ruled_out)).all()


def test_sparsemax_by_hand():
    y = torch.tensor([[1.0, 0.5, -1.0], [3.0, 0.0, 0.0], [0.1, 0.1, 0.1]], dtype=torch.float64)
    expected = torch.tensor([[0.75, 0.25, 0.0], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]], dtype=torch.float64)
    torch.testing.assert_close(SquaredL2().project(y), expected)


def test_small_probabilities_have_exact_logarithms():
    p = torch.tensor([1e-30, 1 - 1e-30], dtype=torch.float64)
    assert NegativeEntropy().gradient(p)[0] == pytest.approx(-69.0776, abs=1e-3)
    for q in QS:
        Phi, one = mirror_map(q), torch.tensor([1.0, 0.0])
        for value in (Phi.phi(one), Phi.gradient(one), Phi.divergence(one, one), Phi.divergence(one.flip(0), one)):
            assert value.isfinite().all()
        assert grad(lambda r, Phi=Phi: Phi.phi(r).sum())(one).isfinite().all()


@pytest.mark.parametrize("q", QS)
def test_the_derivatives_are_right(q):
    """Of the projection, the conjugate and the dual divergence in both arguments, against finite differences."""
    Phi = mirror_map(q)
    x, y = (dual_vectors(seed, 4, 0.3)[:6].requires_grad_() for seed in (1, 2))
    assert torch.autograd.gradcheck(Phi.project, (y,), atol=1e-5)
    assert torch.autograd.gradcheck(Phi.conjugate, (y,), atol=1e-5)
    assert torch.autograd.gradcheck(Phi.dual_divergence, (x, y), atol=1e-5)

    def loss(f: Tensor, y: Tensor) -> Tensor:
        return (Phi.dual_divergence(f, y) + Phi.phi(Phi.project(f))).sum()

    x, y = x.detach(), y.detach()
    torch.testing.assert_close(vmap(grad(loss))(x, y), grad(loss)(x, y))
    f = x.clone().requires_grad_()
    Phi.dual_divergence(f, y).sum().backward()
    torch.testing.assert_close(f.grad, Phi.project(x) - Phi.project(y), atol=1e-7, rtol=1e-6)
    # ∇²Φ* = diag(s) - s sᵀ / Σs
    p = Phi.project(y)
    s, v = Phi.slope(p), torch.ones_like(p).cumsum(-1)
    expected = s * (v - (s * v).sum(-1, keepdim=True) / s.sum(-1, keepdim=True))
    torch.testing.assert_close(grad(lambda y: (Phi.project(y) * v).sum())(y), expected)


@pytest.mark.slow
@pytest.mark.parametrize("q", [1.0, 1.5, 2.0])
def test_compiled_into_one_graph(q):
    Phi, (x, y) = mirror_map(q), (dual_vectors(seed, 5, 1.0, torch.float32) for seed in (1, 2))

    def slope(f: Tensor, y: Tensor) -> Tensor:
        return grad(lambda f: (Phi.dual_divergence(f, y) + Phi.phi(Phi.project(f))).sum())(f)

    torch.testing.assert_close(torch.compile(slope, fullgraph=True)(x, y), slope(x, y), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("n", [2, 3, 10, 300])
@pytest.mark.parametrize("q", [0.25, 0.5, 1.01, 1.5, 1.9, 1.99])
def test_newton_has_arrived_after_its_steps(q: float, n: int, generator: torch.Generator) -> None:
    """Against 100 bisections, on dual vectors of every scale, crowded at the top or at the edge of the support."""
    k, scales = torch.arange(n, dtype=torch.float64), torch.logspace(-5, 2, 40, dtype=torch.float64)[:, None]
    shapes = [torch.randn(40, n, generator=generator, dtype=torch.float64), -k.expand(40, n), -k.sqrt().expand(40, n)]
    shapes += [
        -torch.logspace(-6, 1, n, dtype=torch.float64).expand(40, n),
        -(k >= torch.arange(40)[:, None] % n).double(),
    ]
    y = torch.cat([shape * scales for shape in shapes])
    w = (q - 1) * (y - y.amax(-1, keepdim=True))
    low, high = torch.zeros_like(y[:, :1]), torch.full_like(y[:, :1], 1 - n ** (1 - q))
    for _ in range(100):
        middle = 0.5 * (low + high)
        inside = (1 + w - middle).clamp(min=0).pow(1 / (q - 1)).sum(-1, keepdim=True) >= 1
        low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
    expected = (1 + w - low).clamp(min=0).pow(1 / (q - 1))
    expected = expected / expected.sum(-1, keepdim=True)
    torch.testing.assert_close(Tsallis(q).project(y), expected, rtol=0, atol=1e-12)


def test_a_sparse_map_is_stuck_in_one_orientation_only():
    """y = (1, 0), f = (0, 2): D_Φ*(y, f) = 1 without gradient, on the worst action; D_Φ*(f, y) has one."""
    y, f = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])
    Phi = SquaredL2()
    assert Phi.dual_divergence(y, f) == 1
    assert grad(lambda f: Phi.dual_divergence(y, f))(f).tolist() == [0, 0]
    assert grad(lambda f: Phi.dual_divergence(f, y))(f).tolist() == [-1, 1]


@pytest.mark.parametrize("q", [0.0, -1.0, float("nan"), float("inf")])
def test_a_q_that_is_none_is_refused(q):
    with pytest.raises(ValueError, match="q is positive"):
        mirror_map(q)
