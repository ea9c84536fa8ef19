"""Sweeps: what they are, their queue at work, and how they are started on other machines."""
