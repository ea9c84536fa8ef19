"""A sheet for programs: one line or object a cell, with its key and its numbers in full precision."""

from __future__ import annotations

import io
import math
from typing import Any

from dapo_cli import csv_lines
from dapo_cli.analysis.export.sheets import Sheet
from dapo_cli.terminal.console import json_text


def csv_text(sheet: Sheet) -> str:
    """One line a cell: key, labels, numbers, notes, checksum, command; empty where there is no number."""
    text = io.StringIO()
    writer = csv_lines.writer(text)
    names = list(dict.fromkeys(name for record in sheet.records for name in record))
    writer.writerow([*names, "command"])
    for record in sheet.records:
        writer.writerow([*(_value(record.get(name)) for name in names), sheet.command])
    return text.getvalue()


def json_table(sheet: Sheet) -> str:
    """An object with the table's key, command, caption and notes, and `cells`, an array with one object a cell."""
    return (
        json_text(
            {
                "export": sheet.export,
                "command": sheet.command,
                "caption": sheet.caption,
                "notes": list(sheet.below),
                "cells": sheet.records,
            }
        )
        + "\n"
    )


def _value(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    if isinstance(value, list | tuple):
        return "; ".join(map(str, value))
    return "" if isinstance(value, float) and not math.isfinite(value) else value
