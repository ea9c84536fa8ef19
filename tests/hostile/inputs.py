"""What a hostile or an unlucky user types, and what a hostile database holds.

Hypothesis finds it: the same few in `make test`, many more where HOSTILE_EXAMPLES asks for them.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("HOSTILE_EXAMPLES", "60"))


def tried(examples: int) -> settings:
    """Settings for a test that takes so many examples."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


hostile = tried(EXAMPLES)
hostile_as_typed = tried(max(30, EXAMPLES // 10))
"""For a test that runs a whole command, where another tries the part of it that reads the input."""

NASTY = (
    "'; DROP TABLE run; --",
    "' OR '1'='1",
    'x" OR 1=1 --',
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "\x1b]8;;http://e\x1b\\link",
    "line\nline\r\n\ttab\x00nul\x7f\x9b2J",
    "\\input{/etc/passwd} $x_1^2$ % & # ~ {}",
    "<script>alert(1)</script>&amp;\"'`",
    "[bold]markup[/bold] [link=http://e]",
    "‮evil‬ ​ é \U0001f4a3 \ud800",
    "%s %d {0} {run} ${HOME} $(id) `id`",
    "../../../etc/passwd",
    "-1e999",
    "NaN",
    "__import__('os').system('id')",
    "café ﷽ ٣",
    "",
)

text = st.one_of(st.sampled_from(NASTY), st.text(max_size=40), st.text(alphabet="'\"\\();=<>~! \n\x1b%_&", max_size=20))
storable = text.map(lambda t: t.encode("utf-8", "replace").decode())
"""Text that SQLite can hold."""

_words = (
    "algo env seed status tag final beta m note step and or not in null true false ( ) , = != < <= > >= ~ !~".split()
)
_atoms = st.one_of(
    st.sampled_from(_words),
    st.floats().map(repr),
    st.integers().map(str),
    text.map(lambda t: "'" + t.replace("'", "''") + "'"),
    text,
)
filters = st.one_of(st.lists(_atoms, max_size=12).map(" ".join), text)
"""From nearly right to nonsense."""

_values = st.one_of(
    st.sampled_from(
        ["1", "0.5", "true", "[1, 2]", "[", "{}", "nan", "inf", "-0.0", "1e400", "'x'", '"x"', "1979-05-27"]
    ),
    text,
)
_keys = st.one_of(
    st.sampled_from(["gamma", "beta", "m", "hidden_sizes", "batch_size", "learning_rate", "steps", "seed", "algo"]),
    text,
)
assignments = st.one_of(st.builds("{}={}".format, _keys, _values), text)
"""For `--set`."""

_lines = st.one_of(
    st.builds("{} = {}".format, _keys, _values),
    st.builds('"{}" = "{}"'.format, _keys, _values),
    st.sampled_from(["[dapo-kl]", '["Pendulum-*"]', '[dapo-kl."*"]', "[[x]]", "[dapo-kl.beta]", 'preset = "no"']),
    text,
)
files = st.one_of(st.lists(_lines, max_size=6).map("\n".join), text)
"""For `--config`."""
