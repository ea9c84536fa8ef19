"""Marks of tests that are not for every database."""

from __future__ import annotations

import pytest

on_sqlite = pytest.mark.parametrize("location", ["sqlite"], indirect=True)
"""For a test of what only SQLite has: files, journal modes, backups."""
