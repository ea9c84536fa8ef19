"""Values of --set, written and read."""

from __future__ import annotations

import pytest

from dapo_cli.configuration.assignments import assignment
from dapo_cli.configuration.run_configuration import given


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.3, "0.3"),
        (3, "3"),
        (True, "true"),
        ("relu", "relu"),
        ("layer-norm_1.a", "layer-norm_1.a"),
        ("true", '"true"'),
        ("inf", '"inf"'),
        ("nan", '"nan"'),
        ("3", '"3"'),
        ("", '""'),
        ("a, b", '"a, b"'),
        ("β", '"β"'),
        ([256, 256], "[256, 256]"),
    ],
)
def test_what_is_written_is_read_as_it_was(value, text):
    assert assignment("key", value) == f"key={text}"
    assert given({}, [f"key={text}"]) == {"key": value}
