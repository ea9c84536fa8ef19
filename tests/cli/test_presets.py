"""`dapo presets` as a user types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from dapo_cli.configuration import setting_files


def test_all_are_listed_with_their_first_line(dapo: Callable[..., Any]) -> None:
    listed = json.loads(dapo("presets", "--json").out)
    assert [row["name"] for row in listed] == setting_files.presets()
    assert {"cleanrl", "fixed-temperature"} <= {row["name"] for row in listed}
    text = dapo("presets").out
    for row in listed:
        assert row["name"] in text
        assert setting_files.preset_text(row["name"]).startswith(f"# {row['summary']}\n")
        assert row["summary"]


def test_one_is_printed_as_it_is_written(dapo: Callable[..., Any], refused: Callable[..., str]) -> None:
    text = dapo("presets", "fixed-temperature").out
    assert text == setting_files.preset_text("fixed-temperature")
    values = json.loads(dapo("presets", "fixed-temperature", "--json").out)["values"]
    assert values == {"temperature": 0.2, "Humanoid-*": {"temperature": 0.05}}
    assert "did you mean 'cleanrl'" in refused("presets", "clean-rl")
