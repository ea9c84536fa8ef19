"""Frozen selections: what was pinned stays pinned, and what is gone is noticed."""

from __future__ import annotations

import pytest

from store.errors import RunNotFound, SelectionNotFound, StoreError
from store.records import runs, selections


def test_a_selection_comes_back_sorted_and_its_runs_may_die(database, make_run):
    ids = [make_run(status="completed") for _ in range(3)]
    other = make_run(status="completed")
    selections.freeze(database, "paper", [*ids, ids[0]])
    assert selections.members(database, "paper") == sorted(ids)
    runs.delete(database, [ids[1], other])
    assert selections.members(database, "paper") == sorted(ids)
    (row,) = selections.names(database)
    assert (row["name"], row["runs"], row["missing"]) == ("paper", 3, 1)
    assert row["created_at"].endswith("Z")


def test_the_same_runs_again_change_nothing(database, make_run):
    one, two = make_run(), make_run()
    selections.freeze(database, "paper", [one, two])
    before = selections.names(database)
    selections.freeze(database, "paper", [two, one])
    assert selections.names(database) == before


@pytest.mark.parametrize("chosen", [[0], [0, 3], [0, 1, 2]], ids=["fewer", "others", "more"])
def test_a_name_is_not_given_to_other_runs(database, make_run, chosen):
    ids = [make_run() for _ in range(4)]
    selections.freeze(database, "paper", ids[:2])
    with pytest.raises(StoreError, match=r"'paper' exists and holds other runs \(2 in all\): choose another name"):
        selections.freeze(database, "paper", [ids[index] for index in chosen])
    assert selections.members(database, "paper") == sorted(ids[:2])


def test_nothing_is_frozen_where_a_run_is_unknown(database, make_run):
    with pytest.raises(RunNotFound, match="no run 'ffff'"):
        selections.freeze(database, "paper", [make_run(), "ffff"])
    assert selections.names(database) == []


def test_a_selection_has_a_name_and_a_run(database, make_run):
    with pytest.raises(StoreError, match="needs a name"):
        selections.freeze(database, " ", [make_run()])
    with pytest.raises(StoreError, match="would hold no run"):
        selections.freeze(database, "paper", [])


def test_an_unknown_selection_names_those_there_are(database, make_run):
    with pytest.raises(SelectionNotFound, match="freeze one with: dapo freeze NAME"):
        selections.members(database, "paper")
    for name in ("second", "first"):
        selections.freeze(database, name, [make_run()])
    for function in (selections.members, selections.remove):
        with pytest.raises(SelectionNotFound, match=r"no selection 'third' in .*: there are first, second"):
            function(database, "third")


def test_a_selection_is_forgotten_and_its_runs_stay(database, make_run):
    run_id = make_run()
    for name in ("one", "other"):
        selections.freeze(database, name, [run_id])
    selections.remove(database, "one")
    assert [row["name"] for row in selections.names(database)] == ["other"]
    assert runs.count(database) == 1
