"""Where dapo.toml and the results database are."""

from __future__ import annotations

from pathlib import Path

import pytest

from dapo_cli.configuration.project_file import database_location, find_project_file, read_toml
from dapo_cli.errors import BadInput


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, two levels below `tmp_path`."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DAPO_DB", raising=False)
    return folder


def test_the_nearest_project_file_upwards(tmp_path, deep):
    assert find_project_file(deep) is None
    (tmp_path / "dapo.toml").touch()
    assert find_project_file(deep) == tmp_path / "dapo.toml"
    (deep / "dapo.toml").touch()
    assert find_project_file(Path()) == deep / "dapo.toml"


def test_option_then_environment_then_file_then_default(tmp_path, deep, monkeypatch):
    assert database_location(None) == "runs.db"
    (tmp_path / "dapo.toml").write_text('db = "results/all.db"\n')
    assert database_location(None) == str(tmp_path / "results" / "all.db")
    monkeypatch.setenv("DAPO_DB", "~/env.db")
    monkeypatch.setenv("HOME", "/home/me")
    assert database_location(None) == "/home/me/env.db"
    assert database_location("mine.db") == "mine.db"


@pytest.mark.parametrize("url", ["sqlite:////tmp/x.db", "postgresql+psycopg://me@host/runs"])
def test_a_url_stays_as_it_is(tmp_path, deep, monkeypatch, url):
    (tmp_path / "dapo.toml").write_text(f'db = "{url}"\n')
    assert database_location(None) == url
    monkeypatch.setenv("DAPO_DB", url)
    assert database_location(None) == url
    assert database_location(url) == url


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"db = 3", "db must be a path or a URL in quotes"),
        (b'db = ""', "db must be a path or a URL in quotes"),
        (b"db = ", "is not valid TOML: Invalid value (at end of document)"),
        (b"\xff", "is not valid TOML: it must be UTF-8 text"),
    ],
)
def test_a_project_file_that_makes_no_sense(tmp_path, deep, content, message):
    (tmp_path / "dapo.toml").write_bytes(content)
    with pytest.raises(BadInput) as caught:
        database_location(None)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "dapo.toml"))


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(BadInput, match="No such file"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(BadInput, match="Is a directory"):
        read_toml(tmp_path)


def test_did_you_mean_shows_a_few():
    from dapo_cli.errors import did_you_mean

    assert did_you_mean("dapo-k", ["sac", "dapo-kl"]) == "did you mean 'dapo-kl'?"
    assert did_you_mean("halfcheetah-v4", ["HalfCheetah-v4", "Ant-v4"]) == "did you mean 'HalfCheetah-v4'?"
    assert did_you_mean("x", ["sac", "mdpo"]) == "choose from mdpo, sac"
    assert did_you_mean("zz", [f"name{i}" for i in range(30)]).endswith(", …")
    assert did_you_mean("x", []) == "there is none to choose from"


def test_a_byte_order_mark_is_read_over_and_another_encoding_refused(tmp_path):
    file = tmp_path / "dapo.toml"
    file.write_bytes(b'\xef\xbb\xbfdb = "x.db"\n')
    assert read_toml(file) == {"db": "x.db"}
    for encoding in ("utf-16", "utf-16-le", "utf-32"):
        file.write_bytes('db = "x.db"\n'.encode(encoding))
        with pytest.raises(BadInput, match=r"dapo\.toml is not valid TOML"):
            read_toml(file)
