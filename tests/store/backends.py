"""Marks of tests that are not for every database."""

from __future__ import annotations

import pytest

on_sqlite = pytest.mark.parametrize("location", ["sqlite"], indirect=True)
"""For a test of what only SQLite has: files, journal modes, backups."""

on_postgresql = pytest.mark.parametrize("location", [pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True)
"""For a test of what only a server does."""
