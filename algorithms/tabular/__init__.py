"""Finite MDPs, where the theory can be checked: everything is exact, in float64, and batched over MDPs.

mdp: MDPs to try. values: exact evaluation and the optimum. mirror_descent: policy mirror descent for every mirror map
of `algorithms.core.mirror_maps`. inexact: the same with an error of a size that is chosen. features: the same with the
dual vectors of a linear function class, fitted as DAPO and as AMPO do. bounds: what the theorems say.
Shapes: M MDPs, S states, A actions; d features.
"""
