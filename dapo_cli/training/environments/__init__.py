"""Environments: made, seeded, guarded, and their action spaces."""
