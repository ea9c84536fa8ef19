"""One final return, whichever command shows it."""

from __future__ import annotations

import json
import math
import time

import pytest

from dapo_cli.interchange import browsing
from dapo_cli.terminal import formatting


@pytest.mark.parametrize(
    ("returns", "text"),
    [
        ([math.inf, 1.0], "inf"),
        ([-math.inf, 1.0], "-inf"),
        ([math.inf, -math.inf], "nan"),
        ([math.nan, 1.0], "nan"),
        ([1e308, 1e308], "inf"),
    ],
)
def test_every_command_shows_the_same(dapo, results, record_run, returns, text):
    run_id = record_run(final=returns)
    assert dapo("runs").out.splitlines()[-1].split()[6] == text
    assert f"evaluation  {text} over 2 episodes" in dapo("show", run_id).out
    assert json.loads(dapo("runs", "--where", f"final = {text}", "--json").out)[0]["id"] == run_id
    with results.connect() as session:
        row = session.connection().exec_driver_sql(browsing.QUERIES["last_evaluations"]["sql"]).mappings().first()
    assert str(math.nan if row["mean_return"] is None else row["mean_return"]) == text


def test_a_time_is_shown_in_the_zone_that_filters_compare(dapo, record_run, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert formatting.time_text("2026-11-20T23:44:54.123456Z") == "2026-11-20 23:44:54 UTC"
        record_run(created_at="2026-11-20T23:44:54.123456Z", started_at="2026-11-20T23:44:54.123456Z")
        (run,) = json.loads(dapo("runs", "--where", "created_at = 2026-11-20", "--json").out)
        assert "2026-11-20 23:44:54 UTC" in dapo("show", run["id"]).out
    finally:
        monkeypatch.undo()
        time.tzset()
