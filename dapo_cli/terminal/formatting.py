"""Quantities as people read them in a terminal."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime

_BARS = "▁▂▃▄▅▆▇█"


def steps_text(steps: int) -> str:
    """A number of environment steps, or a difference of two: `950`, `20k`, `-1.5M`; cut to three digits."""
    if steps < 0:
        return f"-{steps_text(-steps)}"
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if steps >= size:
            decimals = max(0, 2 - int(math.log10(steps // size)))
            scale = 10**decimals
            text = f"{steps * scale // size / scale:.{decimals}f}"
            return (text.rstrip("0").rstrip(".") if "." in text else text) + unit
    return str(steps)


def progress_text(step: int, steps: int) -> str:
    """How far a run is: `1M` at the end of its budget, `450k/1M` before."""
    return steps_text(steps) if step >= steps else f"{steps_text(step)}/{steps_text(steps)}"


def number_text(value: float | None, scale: float | None = None) -> str:
    """A number with about four significant digits, of `scale` where it is given; "–" where there is none.

    Of a size below 1e-4 it is `1.23e-09`: digits after the point would all be 0.
    """
    if value is None:
        return "–"
    if not math.isfinite(value):
        return str(value)
    size = abs(value if scale is None else scale)
    if 0 < size < 1e-4:
        return f"{value:.2e}" if value else "0"
    return fixed_text(value, 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 else 4)


def fixed_text(value: float, digits: int, *, signed: bool = False) -> str:
    """A finite number with so many digits after the point: `5123.4`, `+12.0`; what rounds to zero has no sign."""
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text


def general_text(value: float, digits: int) -> str:
    """A number with at most so many significant digits: `0.05`, `1e+06`; negative zero is `0`."""
    return f"{value + 0.0:.{digits}g}"


def mean_of(values: Sequence[float]) -> float:
    """The mean, with infinite values and NaN as `store.records.summaries` has it; `values` is not empty."""
    try:
        return statistics.fmean(values)
    except (OverflowError, ValueError):  # of huge values, of infinite ones of both signs
        return sum(values) / len(values)


def mean_text(values: Sequence[float]) -> str:
    """`5123 ± 210`: mean and standard deviation of episodes' returns, the latter where there is one."""
    if not values:
        return "–"
    mean = mean_of(values)
    if not math.isfinite(mean):
        return number_text(mean)
    return number_text(mean) + (f" ± {number_text(statistics.stdev(values), mean)}" if len(values) > 1 else "")


def duration_text(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    if seconds < 60:
        return f"{int(seconds)} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def age_text(time: str) -> str:
    """How long ago a time of the store was, in its largest unit: `now`, `5 min`, `3 h`, `12 d`."""
    moment = _moment(time)
    if moment is None:
        return time
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "now"


def time_text(time: str | None) -> str:
    """A time of the store, in the zone in which filters compare it: `2026-11-20 10:44:54 UTC`."""
    if time is None:
        return "–"
    moment = _moment(time)
    return time if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _moment(time: str) -> datetime | None:
    """None for a text that is no time of ours, as only a foreign database has: it is shown as it is."""
    try:
        moment = datetime.fromisoformat(time)
        moment.astimezone(UTC)  # the year 1 has no other time zones
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def bytes_text(size: int) -> str:
    """`512 B`, `12.3 MB`."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """Up to `width` bars from the smallest value to the largest, each the mean of its share; "×" if not finite."""
    count = min(width, len(values))
    shares = [values[len(values) * i // count : len(values) * (i + 1) // count] for i in range(count)]
    means = [sum(share) / len(share) for share in shares]
    finite = [mean for mean in means if math.isfinite(mean)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    span = (high - low) or 1.0
    return "".join(
        _BARS[min(int((mean - low) / span * len(_BARS)), len(_BARS) - 1)] if math.isfinite(mean) else "×"
        for mean in means
    )
