"""Tables of `results` as text."""

from __future__ import annotations

import pytest

from dapo_cli.analysis.comparison.request import Request
from dapo_cli.analysis.export.sheets import Style
from dapo_cli.analysis.export.table_export import make


@pytest.fixture
def write(results):
    """The text of the table of `results` in a format; keywords are parts of the request or of the style."""

    def text(format_, **parts):
        style = {name: parts.pop(name) for name in ("spread", "digits", "hyperparameters") if name in parts}
        return make(results, Request(**parts), Style(format_, **style)).text

    return text
