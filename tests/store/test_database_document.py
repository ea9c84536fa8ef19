"""docs/database.md names every table and every column."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from store.schema.models import ORIGINS, STATUSES, Base

DOCUMENT = (Path(__file__).parents[2] / "docs" / "database.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##)", DOCUMENT + "\n##", flags=re.MULTILINE | re.DOTALL))


def test_it_has_a_section_for_each_table():
    assert set(SECTIONS) == set(Base.metadata.tables)


@pytest.mark.parametrize("table", Base.metadata.tables)
def test_a_section_names_the_columns_of_its_table(table):
    cells = re.findall(r"^\| (`.*?) \|", SECTIONS[table], flags=re.MULTILINE)
    named = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(Base.metadata.tables[table].c.keys())


def test_it_names_every_status_and_origin():
    assert all(f"`{status}`" in SECTIONS["run"] for status in STATUSES)
    assert all(f"`{origin}`" in SECTIONS["hyperparameter"] for origin in ORIGINS)
