"""monitor.csv and evaluations.npz: every number where it belongs, and nothing that is not a number."""

from __future__ import annotations

import io
import math
import tracemalloc
import zipfile

import numpy as np
import pytest

from dapo_cli.errors import BadInput
from dapo_cli.interchange.formats import Reading, read


def only(path, **how):
    (log,) = read(path, Reading(**how))
    return log


def test_an_episode_ends_at_the_sum_of_the_lengths_up_to_it(monitor):
    log = only(monitor("monitor.csv", [(1.5, 200, 2.0), (-3.0, 50, 2.5)]))
    assert [tuple(row) for row in log.episode_rows()] == [
        (200, 1.5, 200, 2.0, False, False),
        (250, -3.0, 50, 2.5, False, False),
    ]
    assert (log.env, log.seed, log.last_step, log.wall_time) == ("Hopper-v5", None, 250, 2.5)
    assert log.source == "stable-baselines3 monitor.csv"


def test_environments_of_one_run_step_together(monitor, tmp_path):
    monitor("run/0.monitor.csv", [(1.0, 100, 1.0), (2.0, 300, 9.0)], start=100.0)
    monitor("run/1.monitor.csv", [(3.0, 150, 1.0)], start=101.0)
    log = only(tmp_path / "run")
    assert [(row.step, row.return_, row.length, row.wall_time) for row in log.episode_rows()] == [
        (200, 1.0, 100, 1.0),
        (300, 3.0, 150, 2.0),
        (800, 2.0, 300, 9.0),
    ]


def test_a_folder_with_both_is_one_run(monitor, evaluations, tmp_path):
    monitor("run/monitor.csv", [(1.0, 100, 1.0)])
    evaluations("run/evaluations.npz", [50, 100], [[1.0, 2.0], [math.nan, math.inf]])
    log = only(tmp_path / "run", eval_actions="sampled")
    assert log.source == "stable-baselines3 monitor.csv and evaluations.npz"
    assert len(log.episodes) == 1
    rows = [(row.step, row.actions, row.number, row.return_, row.length) for row in log.evaluation_rows()]
    assert rows[:2] == [(50, "sampled", 0, 1.0, 7), (50, "sampled", 1, 2.0, 7)]
    assert [row[:3] for row in rows[2:]] == [(100, "sampled", 0), (100, "sampled", 1)]
    assert math.isnan(rows[2][3])
    assert rows[3][3] == math.inf
    assert set(log.files) == {str(tmp_path / "run" / name) for name in ("monitor.csv", "evaluations.npz")}


@pytest.mark.parametrize("header", ["#{}\nr,l,t\n", "r,l,t\n", ""])
def test_a_resumed_run_appends_to_its_file(monitor, header):
    """With stable-baselines3's header, with that of its table, or with none (override_existing=False)."""
    path = monitor("monitor.csv", [(1.0, 100, 1.0), (2.0, 50, 4.0)])
    header = header.replace("{}", '{"t_start": 900.0, "env_id": "Hopper-v5"}')
    path.write_text(f"{path.read_text()}{header}3.0,25,0.5\n4.0,25,1.5\n")
    log = only(path)
    assert [row[:4] for row in log.episode_rows()] == [
        (100, 1.0, 100, 1.0),
        (150, 2.0, 50, 4.0),
        (175, 3.0, 25, 4.5),
        (200, 4.0, 25, 5.5),
    ]
    assert log.wall_time == 5.5
    assert "monitor.csv: 2 processes wrote it, one after the other; steps and seconds go on" in log.remarks


def test_a_second_header_may_be_the_last_line_and_must_be_of_the_same_environment(monitor):
    path = monitor("monitor.csv", [(1.0, 100, 1.0)])
    path.write_text(path.read_text() + '#{"t_start": 900.0}\n')
    assert len(only(path).episodes) == 1
    path.write_text(path.read_text() + 'r,l,t\n#{"t_start": 900.0, "env_id": "Ant-v5"}\nr,l,t\n1,2,3\n')
    with pytest.raises(BadInput, match=r"its headers are of Ant-v5, Hopper-v5: split the file"):
        only(path)
    path.write_text('#{"t_start": 1}\nr,l,t\n1,2,3\n#{"t_start": 2}\nr,l,t\n1,x,3\n')
    with pytest.raises(BadInput, match="line 6: l is 'x'"):
        only(path)


@pytest.mark.parametrize(
    ("shape", "rows"),
    [
        ((2, 2, 1), [(50, 0, 1.0, 4), (50, 1, 2.0, 5), (100, 0, 3.0, 6), (100, 1, 4.0, 7)]),
        ((4,), [(50, 0, 1.0, 4), (100, 0, 2.0, 5), (150, 0, 3.0, 6), (200, 0, 4.0, 7)]),
        ((4, 1), [(50, 0, 1.0, 4), (100, 0, 2.0, 5), (150, 0, 3.0, 6), (200, 0, 4.0, 7)]),
        ((4, 1, 1), [(50, 0, 1.0, 4), (100, 0, 2.0, 5), (150, 0, 3.0, 6), (200, 0, 4.0, 7)]),
    ],
)
def test_results_of_a_vectorised_environment_and_means(evaluations, shape, rows):
    results, lengths = np.reshape([1.0, 2.0, 3.0, 4.0], shape), np.reshape([4, 5.2, 6, 7], shape[:2])
    path = evaluations("evaluations.npz", [50 * (1 + index) for index in range(shape[0])], results, ep_lengths=lengths)
    log = only(path)
    assert [(row.step, row.number, row.return_, row.length) for row in log.evaluation_rows()] == rows
    assert any("one number an evaluation" in remark for remark in log.remarks) == (shape != (2, 2, 1))


@pytest.mark.parametrize("arrays", [{"weights": np.ones(3)}, {"timesteps": [], "results": []}, {"timesteps": [1]}])
@pytest.mark.parametrize("results", [{}, {"timesteps": [1], "results": np.ones((1, 0))}])
def test_an_npz_file_without_evaluations_is_refused(tmp_path, arrays, results):
    np.savez(tmp_path / "evaluations.npz", **(arrays | results))
    with pytest.raises(BadInput, match=r"no array|holds no evaluation: name another"):
        only(tmp_path / "evaluations.npz")


def test_the_hash_is_of_the_content(monitor):
    one, same = monitor("one/monitor.csv", [(1.0, 2, 3.0)]), monitor("same/monitor.csv", [(1.0, 2, 3.0)])
    other = monitor("other/monitor.csv", [(1.0, 2, 4.0)])
    assert only(one).sha256 == only(same).sha256 != only(other).sha256


def test_files_of_two_environments_are_two_runs(monitor, tmp_path):
    monitor("run/0.monitor.csv", [(1.0, 1, 1.0)], env="A-v1")
    monitor("run/1.monitor.csv", [(1.0, 1, 1.0)], env="B-v1")
    with pytest.raises(BadInput, match=r"A-v1, B-v1"):
        only(tmp_path / "run")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1"),
        (b"r,l,t\n1,2,3\n", "line 1"),
        (b"#{[]}\nr,l,t\n", "line 1"),
        (b'#{"t_start": 1e999}\nr,l,t\n1,2,3\n', "line 1"),
        (b'#{"t_start": 1}\nr,l\n1,2.5\n', "line 3: l is '2.5'"),
        (b'#{"t_start": 1}\nr,l,t\n1,2,3\n4,5\n', "line 4: 2 fields instead of 3"),
        (b'#{"t_start": 1}\nr,l,t\n1,x,3\n', "line 3: l is 'x'"),
        (b'#{"t_start": 1}\nr,l,t\n1,-2,3\n', "line 3: l is '-2'"),
        (b'#{"t_start": 1}\nr,l,t\n1,1e300,3\n', "line 3: l is '1e300'"),
        (b'#{"t_start": 1}\nr,l,t\n1,2,nan\n', "line 3: t is 'nan'"),
        (b'#{"t_start": 1}\nr,l,t\n1,2,3\n\xff,2,3\n', "line 4: that is not UTF-8"),
        (b'#{"t_start": 1}\nr,l,t\n1\0,2,3\n', "line 3: that is no text"),
        (b'#{"t_start": 1}\nlength,l,t\n1,2,3\n', "line 3: no column 'r'"),
        (b'#{"t_start": 1}\nr,l,t\n', "holds no row"),
    ],
)
def test_a_monitor_file_that_is_none_is_refused(tmp_path, content, message):
    path = tmp_path / "monitor.csv"
    path.write_bytes(content)
    with pytest.raises(BadInput) as refusal:
        only(path)
    assert message in str(refusal.value)
    assert str(path) in str(refusal.value)


@pytest.mark.parametrize(
    ("steps", "results", "others", "message"),
    [
        ([2, 1], [[1.0], [2.0]], {}, "timesteps[1] is 1, after 2"),
        ([1, 2], [[1.0]], {}, "do not belong together"),
        ([1], [[1.0]], {"ep_lengths": np.ones((3, 3))}, "do not belong together"),
        ([1.5], [[1.0]], {}, "something else than whole numbers"),
        ([[1]], [[1.0]], {}, "'timesteps' of 1 axes"),
        ([1], [["a"]], {}, "no whole array of numbers"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(evaluations, steps, results, others, message):
    with pytest.raises(BadInput) as refusal:
        only(evaluations("evaluations.npz", steps, results, **others))
    assert message in str(refusal.value)


def test_a_pickle_is_never_executed(tmp_path, monkeypatch):
    class Bomb:
        def __reduce__(self):
            return (exit, (1,))

    np.savez(tmp_path / "evaluations.npz", timesteps=np.array([Bomb()], dtype=object), results=np.ones((1, 1)))
    with pytest.raises(BadInput, match="pickled"):
        only(tmp_path / "evaluations.npz")


def test_a_header_that_promises_terabytes_is_not_believed(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 10)})
    with zipfile.ZipFile(tmp_path / "evaluations.npz", "w") as archive:
        archive.writestr("results.npy", header.getvalue())
    with pytest.raises(BadInput, match="'results' is no array"):
        only(tmp_path / "evaluations.npz")


def test_a_zip_bomb_takes_no_memory(tmp_path):
    """What is declared counts, as no more than that is unpacked: 150 MB of zeros in 150 kB."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1, 20_000_000)})
    path = tmp_path / "evaluations.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("results.npy", "w") as file,
    ):
        file.write(header.getvalue())
        for _ in range(150):
            file.write(bytes(1_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(BadInput, match="too large"):
            only(tmp_path / "evaluations.npz")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_zip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("dapo_cli.interchange.log_files.LARGEST_ARRAYS", 1000)
    with zipfile.ZipFile(tmp_path / "evaluations.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("results.npy", bytes(1001))
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(BadInput, match="too large"):
        only(tmp_path / "evaluations.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and so on", b"numbers"])
def test_no_zip_file_is_refused(tmp_path, content):
    (tmp_path / "evaluations.npz").write_bytes(content)
    with pytest.raises(BadInput, match=r"no \.npz file"):
        only(tmp_path / "evaluations.npz")
