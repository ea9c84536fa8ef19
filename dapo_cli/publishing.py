"""Who and where a copy leaves out when its reader must not know: `--anonymous`."""

from __future__ import annotations

import getpass
import socket
import subprocess
from typing import TYPE_CHECKING

from dapo_cli.terminal import console
from store.transfer.redaction import Redaction, hosts

if TYPE_CHECKING:
    from store.session import Database


def redaction(database: Database, anonymous: bool) -> Redaction:
    """What texts of this database lose when they are published: folders always; who and where if `anonymous`."""
    if not anonymous:
        return Redaction()
    names = dict.fromkeys(_hosts(database), "host") | dict.fromkeys(_users(), "user")
    author = _of_git("user.name")
    return Redaction(names | ({author: "author"} if author else {}))


def say_what_is_left_out() -> None:
    """One line for the user of `--anonymous`."""
    console.info(
        "left out: hosts, process numbers, users, e-mail addresses, git remotes, author names; "
        "your own tags, sweep names and title stay as they are"
    )


def _hosts(database: Database) -> set[str]:
    found = {socket.gethostname(), *hosts(database)}
    return found | {host.partition(".")[0] for host in found}


def _users() -> set[str]:
    try:
        return {getpass.getuser()}
    except (KeyError, OSError):  # an account without a name
        return set()


def _of_git(key: str) -> str:
    try:
        done = subprocess.run(["git", "config", "--get", key], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
