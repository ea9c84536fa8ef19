"""One learning curve, logged every 1000 and every 5000 steps, and logs that end at a fifth of the budget: as CSV files.

    python tests/cases/grids.py FOLDER; cd FOLDER
    for s in 0 1 2 3 4; do for k in dense sparse short; do dapo import ${k}_$s.csv --format csv --kind evaluation \
        --algo $k --env HalfCheetah-v4 --steps 10000 --seed $s --db g.db; done; done      # see `dapo import --help`

Right values: auc of dense and sparse on their common grid are equal, or the comparison is refused under `evaluation`;
`short` beside the others is refused, or footnoted as ending at 2000 of 10000 steps; `dapo decide` decides nothing on
either without saying so.
"""

import pathlib
import sys

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for seed in range(5):
    curve = {step: 1000 * (1 - 2 ** (-step / 3000)) + 3 * seed for step in range(1000, 10001, 1000)}
    kinds = {
        "dense": curve,
        "sparse": {s: v for s, v in curve.items() if s % 5000 == 0},
        "short": dict(list(curve.items())[:2]),
    }
    for kind, rows in kinds.items():
        text = "step,return\n" + "".join(f"{s},{v:.3f}\n" for s, v in rows.items())
        (folder / f"{kind}_{seed}.csv").write_text(text)
