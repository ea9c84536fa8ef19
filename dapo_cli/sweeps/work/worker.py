"""A worker in this process, with the screen that fits: what `dapo worker` and `dapo sweep` do."""

from __future__ import annotations

from collections import Counter

from dapo_cli.sweeps.work import dashboard, supervisor
from dapo_cli.sweeps.work.supervisor import Order as Order


def work(location: str, order: Order) -> Counter[str]:
    """Train what waits in the queue until nothing is left; returns how many runs ended in which status.

    Raises StoreError (also for an unknown sweep), and Interrupted once all runs have stopped and are back in the queue.
    """
    with dashboard.screen(order.sweep) as screen:
        return supervisor.work(location, order, screen)
