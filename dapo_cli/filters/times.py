"""Times and ages as a filter has them: `yesterday`, `-2d`, `2026-11-20`; `age < 2d`. All times are UTC.

A word or a date means an interval, from its begin up to its end: `created_at = yesterday` is true all day long, and
`created_at > yesterday` from the midnight after it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

TIMES = "write a time in UTC such as today, yesterday, -2d, -3h, 2026-11-20 or '2026-11-20 10:44:54'"
AGES = "write an age such as 30min, 3h, 2d or 1w"

_UNITS = {
    "s": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_AGE = re.compile(rf"(\d+(?:\.\d+)?) ?({'|'.join(_UNITS)})")
_DATE = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d\d)(-(?P<day>\d\d)"
    r"([T ](?P<hour>\d\d):(?P<minute>\d\d)(:(?P<second>\d\d)(\.(?P<fraction>\d{1,6}))?)?)?)?)?"
    r"(?P<zone> ?UTC|Z|[+-]\d\d:\d\d)?"
)


class Interval(NamedTuple):
    """From `begin` up to, and without, `end`: texts as the tables hold times, which sort as the times do."""

    begin: str
    end: str


def now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def interval(text: str) -> Interval | None:
    """What a word, a time or a time ago (`-2d`) means; None for a text that is none of these."""
    folded, present = text.strip().lower(), now()
    midnight = present.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        if folded in ("today", "yesterday"):
            begin = midnight - timedelta(days=folded == "yesterday")
            return _interval(begin, begin + timedelta(days=1))
        if folded == "now":
            return _instant(present)
        if folded.startswith("-"):
            back = age(folded[1:])
            return None if back is None else _instant(present - back)
        return _dated(text.strip())
    except (ValueError, OverflowError):  # the 31st of February, the year 10000
        return None


def age(text: str) -> timedelta | None:
    """How long `2d` or `30min` is; None for a text that is no age."""
    match = _AGE.fullmatch(text.strip().lower())
    try:
        return float(match[1]) * _UNITS[match[2]] if match else None
    except OverflowError:
        return timedelta.max


def before(span: timedelta) -> str:
    """The time so long ago, as the tables hold it."""
    try:
        return _text(now() - span)
    except OverflowError:
        return ""  # before every time


def _dated(text: str) -> Interval | None:
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (
        int(match[name] or least)
        for name, least in (("year", 1), ("month", 1), ("day", 1), ("hour", 0), ("minute", 0), ("second", 0))
    )
    zone = match["zone"] or "Z"
    offset = datetime.fromisoformat(f"2000-01-01T00:00{zone}").tzinfo if zone[0] in "+-" else UTC
    begin = datetime(year, month, day, hour, minute, second, int((match["fraction"] or "").ljust(6, "0")), offset)
    if match["month"] is None:
        end = begin.replace(year=year + 1)
    elif match["day"] is None:
        end = (begin + timedelta(days=31)).replace(day=1)
    else:
        spans = (("fraction", timedelta(microseconds=1)), ("second", _UNITS["s"]), ("hour", _UNITS["min"]))
        end = begin + next((span for name, span in spans if match[name]), _UNITS["d"])
    return _interval(begin, end)


def _instant(moment: datetime) -> Interval:
    return _interval(moment, moment + timedelta(microseconds=1))


def _interval(begin: datetime, end: datetime) -> Interval:
    return Interval(_text(begin), _text(end))


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
