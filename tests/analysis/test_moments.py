"""Times and ages in filters."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dapo_cli.errors import BadInput
from dapo_cli.filters import times
from dapo_cli.filters.sql import condition
from store.records import runs

NOW = datetime(2026, 11, 20, 10, 44, 54, 123456, UTC)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """It is always NOW."""
    monkeypatch.setattr(times, "now", lambda: NOW)


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("today", "2026-11-20T00:00:00.000000Z", "2026-11-21T00:00:00.000000Z"),
        ("Yesterday", "2026-11-19T00:00:00.000000Z", "2026-11-20T00:00:00.000000Z"),
        ("now", "2026-11-20T10:44:54.123456Z", "2026-11-20T10:44:54.123457Z"),
        ("-2d", "2026-11-18T10:44:54.123456Z", "2026-11-18T10:44:54.123457Z"),
        ("-3h", "2026-11-20T07:44:54.123456Z", "2026-11-20T07:44:54.123457Z"),
        ("2026", "2026-01-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z"),
        ("2026-02", "2026-02-01T00:00:00.000000Z", "2026-03-01T00:00:00.000000Z"),
        ("2026-12", "2026-12-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z"),
        ("2026-02-28", "2026-02-28T00:00:00.000000Z", "2026-03-01T00:00:00.000000Z"),
        ("2026-11-20T10:44", "2026-11-20T10:44:00.000000Z", "2026-11-20T10:45:00.000000Z"),
        ("2026-11-20 10:44:54 UTC", "2026-11-20T10:44:54.000000Z", "2026-11-20T10:44:55.000000Z"),
        ("2026-11-20T10:44:54.5Z", "2026-11-20T10:44:54.500000Z", "2026-11-20T10:44:54.500001Z"),
        ("2026-11-20T01:30+02:00", "2026-11-19T23:30:00.000000Z", "2026-11-19T23:31:00.000000Z"),
    ],
)
def test_words_and_dates_are_intervals(text, begin, end):
    assert times.interval(text) == (begin, end)


@pytest.mark.parametrize(
    "text", ["tomorrow", "2026-02-31", "2026-13", "9999", "26-11-20", "-2", "-2 years", "-99999999999d"]
)
def test_what_is_no_time(text):
    assert times.interval(text) is None


@pytest.fixture
def matching(results, record_run):
    """The notes of the runs that match a filter, sorted."""
    for note, created_at in [
        ("week", "2026-11-13T12:00:00.000000Z"),
        ("yesterday", "2026-11-19T23:59:59.999999Z"),
        ("today", "2026-11-20T00:00:00.000000Z"),
        ("just now", "2026-11-20T10:44:00.000000Z"),
    ]:
        record_run(note=note, created_at=created_at)
    record_run(note="waits", created_at="2026-11-20T10:44:54.123456Z")
    return lambda text: sorted(row["note"] for row in runs.listing(results, where=condition(results, text)))


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("created_at >= yesterday", ["just now", "today", "waits", "yesterday"]),
        ("created_at = yesterday", ["yesterday"]),
        ("created_at > yesterday", ["just now", "today", "waits"]),
        ("created_at <= yesterday", ["week", "yesterday"]),
        ("created_at < yesterday", ["week"]),
        ("not created_at >= yesterday", ["week"]),
        ("created_at != today", ["week", "yesterday"]),
        ("created_at in (yesterday, 2026-11-13)", ["week", "yesterday"]),
        ("created_at >= -11h", ["just now", "today", "waits", "yesterday"]),
        ("created_at > '2026-11-20 10:43:59 UTC'", ["just now", "waits"]),
        ("created_at ~ '11-13'", ["week"]),
        ("started_at != null", ["just now", "today", "waits", "week", "yesterday"]),
        ("ended_at = null", []),
        ("age < 1h", ["just now", "waits"]),
        ("age >= 2d", ["week"]),
        ("age > 10min and age < 6d", ["today", "yesterday"]),
        ("age < 99999999999w", ["just now", "today", "waits", "week", "yesterday"]),
    ],
)
def test_runs_by_time_and_age(matching, text, notes):
    assert matching(text) == notes


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("created_at >= yestrday", f"created_at >= 'yestrday': {times.TIMES}"),
        ("ended_at < 3", f"ended_at < '3': {times.TIMES}"),
        ("age < 2", f"age < '2': {times.AGES}"),
        ("age < yesterday", f"age < 'yesterday': {times.AGES}"),
        ("age = 2d", "an age changes all the time: compare it by < or >, not by ="),
        ("created_at > null", "created_at > null: null is only compared by = and !="),
        ("final > nan", "final > nan: nan is only compared by = and !="),
    ],
)
def test_what_makes_no_sense_is_refused(matching, text, line):
    with pytest.raises(BadInput) as caught:
        matching(text)
    assert str(caught.value) == line
