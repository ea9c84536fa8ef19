"""Numbers, times and sparklines as people read them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from dapo_cli.analysis.claims.rules import Finding
from dapo_cli.analysis.comparison import cell_text
from dapo_cli.commands.decide import interval_text
from dapo_cli.report import drawing
from dapo_cli.terminal import formatting


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (1999, "1.99k"),
        (20_000, "20k"),
        (999_999, "999k"),
        (1_000_000, "1M"),
        (12_345_678, "12.3M"),
        (-1500, "-1.5k"),
        (round(-0.4), "0"),
    ],
)
def test_steps(steps, text):
    assert formatting.steps_text(steps) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (formatting.fixed_text(-0.04, 1), "0.0"),
        (formatting.fixed_text(-0.0, 0, signed=True), "0"),
        (formatting.fixed_text(0.4, 0, signed=True), "0"),
        (formatting.fixed_text(12.3, 0, signed=True), "+12"),
        (formatting.fixed_text(-12.3, 1), "-12.3"),
        (formatting.general_text(-0.0, 6), "0"),
        (formatting.general_text(-0.25, 6), "-0.25"),
        (formatting.number_text(-0.0), "0.0000"),
        (cell_text.fixed(-0.001, 2, signed=True), "0.00"),
        (interval_text(Finding("confirmed", -0.004, -0.01, 0.0049, 0.95)), "0 % [-1, 0] 95 %"),
        (drawing._tick(-0.0, 1.0), "0"),
    ],
)
def test_zero_has_no_sign_anywhere(text, shown):
    assert text == shown


def test_progress_is_complete_only_at_the_end():
    assert formatting.progress_text(1_000_000, 1_000_000) == "1M"
    assert formatting.progress_text(999_999, 1_000_000) == "999k/1M"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (12345.6, "12346"),
        (123.45, "123.5"),
        (-12.345, "-12.35"),
        (0.12345, "0.1235"),
        (0.0001, "0.0001"),
        (1.2345e-9, "1.23e-09"),
        (-4e-5, "-4.00e-05"),
        (0.0, "0.0000"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
    ],
)
def test_numbers(value, text):
    assert formatting.number_text(value) == text


@pytest.mark.parametrize(
    ("value", "scale", "text"),
    [
        (0.5, 2000.0, "0"),
        (1e-9, 5.0, "0.00"),
        (2.5e-10, 1e-9, "2.50e-10"),
        (0.0, 1e-9, "0"),
        (5.0, 0.0, "5.0000"),
        (-1e-9, -0.5, "0.0000"),
    ],
)
def test_numbers_beside_others(value, scale, text):
    assert formatting.number_text(value, scale) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (4.4, "4 s"),
        (59.6, "59 s"),
        (60, "1 min"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (86_400, "1 d"),
        (180_000, "2 d 2 h"),
    ],
)
def test_durations(seconds, text):
    assert formatting.duration_text(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(3, "now"), (61, "1 min"), (7300, "2 h"), (90_000, "1 d")])
def test_ages(seconds, text):
    moment = datetime.now(UTC) - timedelta(seconds=seconds)
    assert formatting.age_text(moment.isoformat().replace("+00:00", "Z")) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (123_456_789, "123 MB"), (5e12, "5.0 TB")]
)
def test_bytes(size, text):
    assert formatting.bytes_text(size) == text


def test_sparklines():
    assert formatting.sparkline(range(8)) == "▁▂▃▄▅▆▇█"
    assert formatting.sparkline([5.0, 5.0]) == "▁▁"
    assert formatting.sparkline([]) == ""
    assert formatting.sparkline([0.0, math.nan, 1.0]) == "▁×█"
    assert formatting.sparkline([math.inf]) == "×"
    assert formatting.sparkline([0, 0, 0, 8, 8, 8], width=2) == "▁█"
