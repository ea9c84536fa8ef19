"""What a sweep is asked to be: files, the command line, dapo.toml."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dapo_cli.errors import BadInput
from dapo_cli.sweeps.definition import sweep_file

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a sweep file and returns its path."""

    def write_file(text: str) -> Path:
        path = tmp_path / "first.toml"
        path.write_text(text)
        return path

    return write_file


@pytest.mark.parametrize(
    ("value", "seeds"),
    [
        (3, [0, 1, 2]),
        (2.0, [0, 1]),
        ("3", [0, 1, 2]),
        ("0-4", [0, 1, 2, 3, 4]),
        ("7", [0, 1, 2, 3, 4, 5, 6]),
        ("7,", None),
        ("10-12,3", [10, 11, 12, 3]),
        ([0, 5], [0, 5]),
        (0, None),
        ("", None),
        ("0", None),
        ([], None),
        ([1, 1], None),
        ("1-3,2", None),
        ("4-2", None),
        ([-1], None),
        ([True], None),
        (True, None),
        ("a", None),
        ("٣", None),
        (10**9, None),
        ("0-9999999999999999999", None),
        (2.5, None),
    ],
)
def test_seeds(value: object, seeds: list[int] | None) -> None:
    if seeds is None:
        with pytest.raises(BadInput, match=r"seeds = .* in here .*: write seeds = 5 for 0 to 4"):
            sweep_file.seeds_of(value, "here")
    else:
        assert sweep_file.seeds_of(value, "here") == seeds


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("beta=0.1,0.5", {"beta": [0.1, 0.5]}),
        ("dapo-kl.beta=0.3", {"dapo-kl": {"beta": 0.3}}),
        ("activation=relu,tanh", {"activation": ["relu", "tanh"]}),
        ("hidden_sizes=[64,64]", {"hidden_sizes": [64, 64]}),
        ("hidden_sizes=[64,64],[32]", {"hidden_sizes": [[64, 64], [32]]}),
        ("critic_learning_rate=same,1e-3", {"critic_learning_rate": ["same", 1e-3]}),
        ("layer_norm = true", {"layer_norm": True}),
        ("device=cpu", {"device": "cpu"}),
        ("x=1]\nvalue=[2", {"x": "1]\nvalue=[2"}),
        ("x=2020-01-01", {"x": "2020-01-01"}),
        ("x={ a = 1 }", {"x": "{ a = 1 }"}),
    ],
)
def test_assignments_are_values_or_lists_of_them(text: str, content: dict[str, object]) -> None:
    layer = sweep_file.typed_layer(assignments=[text])
    assert layer == content
    json.dumps(layer)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("beta", "--set takes key=value"),
        ("=3", "--set takes key=value"),
        ("dapo-kl.=3", "--set takes key=value"),
        ("beta=", "there is no value after '='"),
        ("dapo-kj.beta=3", "unknown algorithm 'dapo-kj': did you mean 'dapo-kl'"),
        ("seed=3", "use --seeds"),
        ("algo=sac", "use --algo"),
        ("name=x", "use --name"),
    ],
)
def test_assignments_that_are_none(text: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        sweep_file.typed_layer(assignments=[text])


def test_a_key_is_given_once() -> None:
    with pytest.raises(BadInput, match="given twice: write its values in one"):
        sweep_file.typed_layer(assignments=["beta=0.1", "beta=0.5"])
    with pytest.raises(BadInput, match="given twice"):
        sweep_file.typed_layer(steps=100, assignments=["steps=5"])


def test_layers_are_the_project_the_file_and_what_is_typed(write: Write, tmp_path: Path) -> None:
    (tmp_path / "dapo.toml").write_text('db = "x.db"\nseed = 3\ngamma = 0.9\n')
    made = sweep_file.read(write('env = "Pendulum-v1"\ngamma = 0.95\n'), {"gamma": 0.99}, tmp_path)
    assert made.name == "first"  # the file's own
    assert [layer["content"] for layer in made.layers] == [
        {"gamma": 0.9},
        {"env": "Pendulum-v1", "gamma": 0.95},
        {"gamma": 0.99},
    ]
    assert made.value("gamma") == 0.99
    assert made.seeds == [0, 1, 2, 3, 4]
    again = sweep_file.restored(made.name, json.loads(json.dumps(made.content)))
    assert again.content == made.content
    assert sweep_file.with_typed(again, {"seeds": 2}).seeds == [0, 1]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("seed = 3", r"seed in .*first.toml: a sweep has seeds, such as seeds = 5 or seeds = \[3\]"),
        ('db = "x.db"', "db in .*first.toml: the database is named by --db"),
        ("gamma = 2020-01-01", "gamma = 2020-01-01 in .*first.toml: no setting is a date"),
        ("name = 3", "name = 3 in .*first.toml: a name is printable text"),
        ('name = " "', "a name is printable text"),
        ('name = "a\\u001b"', "a name is printable text"),
        ("gamma = ", "first.toml is not valid TOML"),
    ],
)
def test_files_that_make_no_sense(write: Write, text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=complaint):
        sweep_file.read(write(text), directory=tmp_path)


def test_a_name_is_needed_and_a_file_too(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"needs a name.* --name main"):
        sweep_file.from_command_line({"algo": ["sac"]}, tmp_path)
    with pytest.raises(BadInput, match=r"cannot read .*: No such file"):
        sweep_file.read(tmp_path / "none.toml")


def test_what_belongs_into_a_sweep_file_is_refused_in_the_projects(tmp_path: Path) -> None:
    (tmp_path / "dapo.toml").write_text("seeds = 5\n")
    with pytest.raises(BadInput, match=r"seeds in .*dapo.toml: a sweep has a file of its own"):
        sweep_file.from_command_line({"name": "x"}, tmp_path)


@pytest.mark.parametrize(
    "content", [{}, [], {"layers": 3}, {"layers": [3]}, {"layers": [{"origin": "file", "source": 1, "content": {}}]}]
)
def test_a_database_may_hold_anything(content: object) -> None:
    with pytest.raises(BadInput, match="the definition of sweep 'x' is not one that this dapo can read"):
        sweep_file.restored("x", content)
