"""dapo power, as a user types it."""

from __future__ import annotations

import json


def test_power(dapo, refused, seeds):
    seeds("sac", [100, 110, 120, 130, 140])
    seeds("ampo", [60, 80, 100, 110, 120])
    (row,) = json.loads(dapo("power", "--base", "algo = sac", "--width", "40", "--json").out)
    assert (row["algo"], row["n"], row["difference"]) == ("ampo", 5, -26.0)
    assert 10 <= row["seeds"] <= 14  # 1.29 pooled standard deviations
    assert row["power"] < 0.6
    assert json.loads(dapo("power", "--base", "algo = sac", "--difference", "5", "--json").out)[0]["seeds"] > 100
    assert refused("power", "--base", "algo = sac", "--power", "2").startswith("--power: 2 is no probability")
    assert refused("power", "--base", "algo = sac", "--width", "0").startswith("--width: '0' is no size")
