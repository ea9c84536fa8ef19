"""A table's command line as values, and back: keys of published tables rest on the words."""

from __future__ import annotations

import shlex

import pytest

from dapo_cli.options.table_options import from_command

DEFAULTS = "--rows algo --cols env --measure final --stat mean"


@pytest.mark.parametrize(
    ("typed", "arguments"),
    [
        ("", DEFAULTS),
        ("--measure steps-to:3e3 --seed 0", DEFAULTS.replace("final", "steps-to:3000")),
        (
            "--where 'm < 1' --tag b --tag a --tag b --tuning --equivalent ' 20% ' --base 'algo = sac' --allow steps",
            f"{DEFAULTS} --base 'algo = sac' --equivalent ' 20% ' --allow steps "
            "--where 'm < 1' --tag b --tag a --tuning",
        ),
        (
            "--vary beta,m --base 'algo = sac' --equivalent 20% --strict --resamples 500 --seed 3",
            "--cols env --measure final --stat mean --base 'algo = sac' --vary beta,m --equivalent 20% "
            "--strict --resamples 500 --seed 3",
        ),
        (
            "--rows beta --cols '' --normalise sac --stat iqm --pool-over m,q --sweep s --selection f --unfinished",
            "--rows beta --cols '' --measure final --stat iqm --normalise sac --pool-over m,q "
            "--sweep s --selection f --unfinished",
        ),
    ],
)
def test_requests_are_written_as_they_were(typed, arguments):
    request, style = from_command(f"dapo table {typed}")
    assert shlex.join(request.arguments()) == arguments
    again = from_command(shlex.join(["dapo", "table", *request.arguments(), *style.arguments()]))
    assert again == (request, style)
