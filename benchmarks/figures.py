"""How long a figure of many points takes: learning curves with bands, 40 000 points over four lines of five runs each.

    python benchmarks/figures.py

First the numbers (alignment, mean and interval at every step), then the drawing, in each format.
"""

from __future__ import annotations

import time

import numpy as np

from dapo_cli.analysis.curves import learning_curves
from dapo_cli.analysis.curves.series import Series
from dapo_cli.figures import curves as figure
from dapo_cli.figures import style

LINES, STEPS, RUNS, REPEATS = 4, 10_000, 5, 3


def main() -> None:
    rng = np.random.default_rng(0)
    steps = np.arange(1, STEPS + 1) * 100
    with style.styled():  # imports matplotlib
        pass

    def collect() -> learning_curves.Curves:
        lines = []
        for number in range(LINES):
            noise = rng.normal(size=(RUNS, STEPS)).cumsum(axis=1)
            own = [Series(steps, number * 100 + noise[run]) for run in range(RUNS)]
            lines.append(learning_curves.line_of(("Env-v0", f"algorithm-{number}"), own, [False] * RUNS))
        return learning_curves.Curves("return", "mean", ("algo",), {}, tuple(lines), ())

    start = time.perf_counter()
    drawn = collect()
    print(f"numbers {time.perf_counter() - start:.2f} s for {LINES * STEPS} points of {RUNS} runs")
    plot = figure.plot(drawn)
    for format_ in style.FORMATS:
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            image = style.rendered(lambda: plot.draw(figure.Paper()), [format_], plot.caption)[format_]
            times.append(time.perf_counter() - start)
        print(f"{format_:7} {min(times):.2f} s (slowest {max(times):.2f} s), {len(image) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
