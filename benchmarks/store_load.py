"""What a store bears, and what its rows weigh: many runs that record at once, beside readers; tables filled to a size.

    python benchmarks/store_load.py [--db PATH|URL] [--runs 1,10,100] [--rate 4] [--seconds 15] [--readers 1]
    python benchmarks/store_load.py [--db PATH|URL] --fill 1e6,1e7

The first: runs that each record RATE rows a second (0: as many as they can) through the real Recorder, four to a
process at most 8 processes; readers look as `dapo runs` and `dapo compare` do. The second: episodes in the order in
which 1000 runs that train side by side leave them, then bytes per row and how long looking takes.

Without --db: SQLite in a temporary folder. The database must be empty or this program's; it is left as it is. A server
for a trial: `python tests/store/postgres_server.py`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, select, text

from store.records import runs, summaries
from store.records.recorder import Recorder
from store.schema.models import Episode, Run
from store.session import Database

SIDE_BY_SIDE = 1000  # runs that fill the table
PART = 20  # rows that one of them leaves before the next has its turn
# The same rows, made by the server itself.
ON_SERVER = """
    INSERT INTO episode
    SELECT id, turn * :part + n, 940 * (turn * :part + n), 3000 + 300 * random(), NULL, 940, 3.7 * (turn * :part + n),
           false, true
    FROM generate_series(0, :turns - 1) AS turn, unnest(CAST(:ids AS text[])) WITH ORDINALITY AS one (id, place),
         generate_series(0, :part - 1) AS n
    ORDER BY turn, place, n
"""


def share(values: list[float], part: float) -> float:
    """The quantile of the values, in milliseconds."""
    return 1000 * sorted(values)[min(len(values) - 1, int(part * len(values)))] if values else float("nan")


def timed(function: Callable[..., Any], times: list[float]) -> Callable[..., Any]:
    """The same function; how long each call took, in seconds, goes into `times`."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*arguments, **keywords)
        finally:
            times.append(time.perf_counter() - began)

    return call


def train(location: str, count: int, rate: float, begin: float, seconds: float, results: Any) -> None:
    """`count` made-up runs of this process record until `begin + seconds`; puts (rows, times of commits)."""
    times: list[float] = []
    Recorder._write = timed(Recorder._write, times)  # type: ignore[method-assign]
    made = []
    for _ in range(count):
        db = Database.write(location)
        run = {"algo": "load", "env": "Load-v0", "seed": 0, "steps": 1}
        made.append((db, runs.create(db, run=run)))
    while time.time() < begin:
        time.sleep(0.01)
    times.clear()
    counts = [0] * count
    threads = [threading.Thread(target=record, args=(*made[i], rate, begin + seconds, counts, i)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put((sum(counts), times))


def record(db: Database, run_id: str, rate: float, end: float, counts: list[int], index: int) -> None:
    """One run: a tenth of its rows are evaluations, as many episodes, the rest diagnostics."""
    recorder = Recorder(db, run_id)
    time.sleep(random.random())  # not all commit in the same moment
    number = 0
    began = time.time()
    while (now := time.time()) < end:
        for _ in range(100 if not rate else int((now - began) * rate) - number):
            if number % 10 == 0:
                recorder.evaluation(number, "mean", 0, 1.5, 1000)
            elif number % 10 == 1:
                recorder.episode(number, number, number / 7, 1000, now - began, False, True)
            else:
                recorder.metrics(number, {f"loss_{number % 10}": number / 7})
            number += 1
        recorder.progress(number, now - began)
        if rate:
            time.sleep(min(1.0, 1 / rate))
        else:
            recorder.flush()
    recorder.close("completed")
    counts[index] = number
    db.close()


def look(location: str, end: float, results: Any) -> None:
    """Looks again and again; puts how long each look took, in seconds."""
    times = []
    while time.time() < end:
        began = time.perf_counter()
        with Database.read(location) as db:
            runs.listing(db, limit=50)
            summaries.final_evaluation(db)
        times.append(time.perf_counter() - began)
        time.sleep(0.05)
    results.put(times)


def load(location: str, count: int, rate: float, seconds: float, readers: int) -> None:
    """Prints one line: this many runs at once."""
    processes = min(8, -(-count // 4))
    context = multiprocessing.get_context("spawn")
    written, seen = context.Queue(), context.Queue()
    begin = time.time() + 6 + 2 * processes
    parts = [count // processes + (index < count % processes) for index in range(processes)]
    started = [context.Process(target=train, args=(location, n, rate, begin, seconds, written)) for n in parts]
    started += [context.Process(target=look, args=(location, begin + seconds, seen)) for _ in range(readers)]
    for process in started:
        process.start()
    outcomes = [written.get() for _ in parts]
    looks = [value for _ in range(readers) for value in seen.get()]
    for process in started:
        process.join()
    rows = sum(outcome[0] for outcome in outcomes)
    commits = [value for outcome in outcomes for value in outcome[1]]
    asked = f"{count * rate:.0f}" if rate else "most"
    print(
        f"{count:6}{asked:>10}{rows / seconds:10.0f}{len(commits) / seconds:11.1f}"
        + "".join(f"{share(commits, part):9.1f}" for part in (0.5, 0.95, 0.99, 1.0))
        + "".join(f"{share(looks, part):9.1f}" for part in (0.5, 0.95)),
        flush=True,
    )


def episodes(total: int) -> Iterator[tuple[Any, ...]]:
    """Rows in the order in which SIDE_BY_SIDE runs leave them."""
    generator = random.Random(0)
    ids = [f"{generator.getrandbits(64):016x}" for _ in range(SIDE_BY_SIDE)]
    for first in range(0, total // SIDE_BY_SIDE, PART):
        for run_id in ids:
            for number in range(first, first + PART):
                yield (run_id, number, 940 * number, generator.gauss(3000, 300), None, 940, 3.7 * number, False, True)


def fill(db: Database, total: int) -> float:
    """Fills an empty table, and returns how many seconds that took."""
    began = time.perf_counter()
    with db.transaction() as session:
        # On a server, deleted rows keep their room until a vacuum.
        session.execute(delete(Run) if db.path is not None else text("TRUNCATE run CASCADE"))
    rows = episodes(total)
    ids = dict.fromkeys(row[0] for _, row in zip(range(SIDE_BY_SIDE * PART), episodes(total), strict=False))
    for run_id in ids:
        runs.create(db, run={"id": run_id, "algo": "load", "env": "Load-v0", "seed": 0, "steps": 1})
    with db.transaction() as session:
        if db.path is not None:
            driver = session.connection().connection.cursor()
            driver.executemany(f"INSERT INTO episode VALUES ({', '.join('?' * 9)})", rows)
        else:
            session.execute(text(ON_SERVER), {"turns": total // SIDE_BY_SIDE // PART, "part": PART, "ids": list(ids)})
            session.execute(text("ANALYZE"))  # as autovacuum does within a minute
    return time.perf_counter() - began


def size(db: Database) -> int:
    """Bytes of the episodes with their index, as they lie on the disk."""
    with db.connect() as session:
        if db.path is None:
            return int(session.scalar(text("SELECT pg_total_relation_size('episode')")) or 0)
        pages = session.scalar(text("SELECT count(*) FROM dbstat WHERE name = 'episode'")) if dbstat(db) else None
        return 4096 * pages if pages else db.path.stat().st_size


def dbstat(db: Database) -> bool:
    """Whether this SQLite can count the pages of one table."""
    with db.connect() as session:
        return bool(session.scalar(text("SELECT sqlite_compileoption_used('ENABLE_DBSTAT_VTAB')")))


def weigh(location: str, total: int) -> None:
    """Prints one line: the table filled with this many episodes."""
    with Database.write(location) as db:
        seconds = fill(db, total)
    with Database.write(location) as db:
        found = size(db)
        with db.connect() as session:
            run_id = session.scalar(select(func.min(Run.id))) or ""
        looks = [
            statistics.median(clock(action))
            for action in (
                lambda: summaries.final_training(db),
                lambda: summaries.latest(db, run_id),
                lambda: count(db),
            )
        ]
        deleting = clock(lambda: runs.delete(db, [run_id]), 1)[0] if ended(db, run_id) else 0.0
    print(
        f"{total:12}{seconds:10.0f}{total / seconds:12.0f}{found / 1e6:10.0f}{found / total:10.1f}"
        + "".join(f"{1000 * value:12.1f}" for value in (*looks, deleting)),
        flush=True,
    )


def ended(db: Database, run_id: str) -> bool:
    """Ends the run, so that it may be deleted."""
    runs.set_status(db, run_id, "completed")
    return True


def count(db: Database) -> int:
    """The number of all episodes."""
    with db.connect() as session:
        return session.scalar(select(func.count()).select_from(Episode)) or 0


def clock(action: Callable[[], Any], repeat: int = 3) -> list[float]:
    """How long the action took each time, in seconds."""
    times: list[float] = []
    for _ in range(repeat):
        timed(action, times)()
    return times


def main() -> None:
    """Prints the table that the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", metavar="PATH|URL")
    parser.add_argument("--runs", default="1,10,100")
    parser.add_argument("--rate", type=float, default=4.0)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--readers", type=int, default=1)
    parser.add_argument("--fill", metavar="EPISODES")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        location = options.db or str(Path(folder) / "runs.db")
        Database.write(location).close()
        if options.fill:
            print(
                "    episodes   seconds      rows/s        MB   B/row  last 100, ms  a run, ms  count, ms  delete, ms"
            )
            for total in options.fill.split(","):
                weigh(location, int(float(total)))
        else:
            print("  runs  asked/s    rows/s  commits/s   p50 ms   p95 ms   p99 ms   max ms look p50 look p95")
            for number in options.runs.split(","):
                load(location, int(number), options.rate, options.seconds, options.readers)


if __name__ == "__main__":
    main()
