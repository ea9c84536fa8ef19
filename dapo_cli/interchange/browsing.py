"""What Datasette is told about a results database: titles, descriptions, orders, labels and ready queries."""

from __future__ import annotations

from typing import Any

from store.schema.models import Base

FINAL = """
WITH last AS (
  SELECT run_id, actions, MAX(step) AS step FROM evaluation GROUP BY run_id, actions
), final AS (
  SELECT evaluation.run_id, evaluation.actions, evaluation.step, COUNT(*) AS episodes,
         CASE WHEN SUM(return_kind = 'nan') OR (SUM(return_kind = 'inf') AND SUM(return_kind = '-inf')) THEN NULL
              WHEN SUM(return_kind = 'inf') THEN 9e999 WHEN SUM(return_kind = '-inf') THEN -9e999
              ELSE AVG(return) END AS mean_return
  FROM evaluation JOIN last USING (run_id, actions, step) GROUP BY evaluation.run_id, evaluation.actions
)
"""

QUERIES = {
    "final_returns": {
        "title": "Final returns by algorithm and environment",
        "description": "Completed runs: the mean return of each one's last evaluation with mean actions, over runs. "
        "A return that is NaN makes its run NULL. dapo compare adds intervals and leaves out extended runs.",
        "sql": FINAL
        + """
SELECT env, algo, COUNT(*) AS runs, ROUND(AVG(mean_return), 2) AS mean, MIN(mean_return) AS lowest,
       MAX(mean_return) AS highest, MIN(run.step) AS fewest_steps, MAX(run.step) AS most_steps
FROM run JOIN final ON final.run_id = run.id
WHERE run.status = 'completed' AND run.kind = 'train' AND final.actions = 'mean'
GROUP BY env, algo ORDER BY env, mean DESC
""",
    },
    "last_evaluations": {
        "title": "The last evaluation of every run",
        "description": "Newest runs first.",
        "sql": FINAL
        + """
SELECT run.id AS run_id, run.algo, run.env, run.seed, run.status, final.actions, final.step, final.episodes,
       final.mean_return
FROM run JOIN final ON final.run_id = run.id ORDER BY run.created_at DESC, final.actions
""",
    },
    "runs_with_settings": {
        "title": "Runs by a hyperparameter",
        "description": "Name one, such as beta.",
        "sql": """
SELECT run.id AS run_id, run.algo, run.env, run.seed, run.status, hyperparameter.value, hyperparameter.origin
FROM run JOIN hyperparameter ON hyperparameter.run_id = run.id
WHERE hyperparameter.name = :name ORDER BY run.algo, run.env, CAST(hyperparameter.value AS REAL), run.seed
""",
    },
    "learning_curve": {
        "title": "The learning curve of a run",
        "description": "The mean return of each evaluation of the run whose id starts like that.",
        "sql": """
SELECT run_id, step, actions, COUNT(*) AS episodes, AVG(return) AS mean_return, COUNT(return_kind) AS not_finite
FROM evaluation WHERE run_id = (SELECT id FROM run WHERE id LIKE :run || '%' ORDER BY id LIMIT 1)
GROUP BY run_id, step, actions ORDER BY actions, step
""",
    },
}

# Rows by run lie in the order of their keys; any other order would sort millions of them for every page.
_ORDERS = {"run": {"sort_desc": "created_at"}, "event": {"sort_desc": "id"}}
_COLUMNS = {
    "run": {
        "algo": "the algorithm, such as dapo-kl",
        "env": "the environment, as named to Gymnasium",
        "seed": "the run's seed; 0 is one, too",
        "status": "queued, running, interrupted, completed, diverged, failed, or cancelled",
        "reason": "why it failed or diverged, in one line",
        "exactness": "exact; approximate once a resume, or an extension, could not be the uninterrupted run",
        "steps": "the budget, in environment steps",
        "step": "the last environment step on record",
        "wall_time": "seconds of training, over all sessions",
        "source": "where an imported run came from",
        "command": "the command line, as typed",
        "versions": "JSON object: package -> version",
    },
    "hyperparameter": {
        "value": "JSON, except that a string stands without its quotes; NULL for none",
        "type": "bool, int, float, str, list or null",
        "origin": "default, preset, file or command line",
        "symbol": "as in the papers: β, m, τ",
    },
    "episode": {
        "step": "the environment step at which it ended",
        "return": "the undiscounted sum of its rewards",
        "return_kind": "nan, inf or -inf where the return is not finite, and NULL itself",
        "length": "in environment steps",
        "wall_time": "seconds of training up to its end",
        "terminated": "it ended by the environment's rules",
        "truncated": "it was cut off, by a time limit for example",
    },
    "evaluation": {
        "step": "the training step at which it was played",
        "actions": "mean (of the policy) or sampled",
        "number": "from 0 within the evaluation",
        "return": "the undiscounted sum of its rewards",
        "return_kind": "nan, inf or -inf where the return is not finite, and NULL itself",
        "length": "in environment steps",
    },
    "metric": {
        "name": "such as critic_loss",
        "step": "the training step at the end of that interval",
        "value": "the number",
        "value_kind": "nan, inf or -inf where the number is not finite, and NULL itself",
    },
}


def metadata(database: str, location: str) -> dict[str, Any]:
    """Datasette's metadata for the database that it calls `database` (the stem of its file)."""
    tables: dict[str, Any] = {}
    for mapper in Base.registry.mappers:
        table = str(mapper.local_table.name)  # type: ignore[attr-defined]
        description = (mapper.class_.__doc__ or "").strip().replace("`", "")
        tables[table] = {"description": description, "columns": _COLUMNS.get(table, {}), **_ORDERS.get(table, {})}
    tables["run"] |= {"label_column": "algo", "facets": ["algo", "env", "status"]}
    tables["alembic_version"] = {"hidden": True}
    return {
        "title": f"dapo: {location}",
        "description": "A results database, open for reading only. Ids are 16 hexadecimal digits, times UTC; a number "
        "that is not finite is NULL, and the column …_kind beside it says what it is.",
        "databases": {
            database: {"tables": tables, "queries": {name: _hidden(query) for name, query in QUERIES.items()}}
        },
    }


def _hidden(query: dict[str, str]) -> dict[str, Any]:
    """The query with its SQL folded in, as the rows are what one came for."""
    return {**query, "sql": query["sql"].strip(), "hide_sql": True}
