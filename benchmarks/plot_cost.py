"""CPU seconds of one plot page, in a warm process, at 100,000 and 500,000 events.

python benchmarks/plot_cost.py
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from tregflow import gate, load_template, read_fcs, simulate
from tregflow.io.trials import write_trial
from tregflow.plots import page

TEMPLATE = Path(__file__).resolve().parent.parent / "gating_strategies" / "treg.yaml"
ROUNDS = 5


def main() -> None:
    template = load_template(TEMPLATE)
    for events in (100_000, 500_000):
        with tempfile.TemporaryDirectory() as folder:
            trial = Path(folder) / "trial"
            file, *_ = write_trial(simulate(subjects=1, events=events, controls=False), trial)
            gated = gate(template.bind(read_fcs(file)), template)
            page(gated, "warm", file.name)
            print(
                f"{events:,} events: {statistics.median(cost(gated, file.name) for _ in range(ROUNDS)):.2f} CPU s a page"
            )


def cost(gated: object, name: str) -> float:
    started = time.process_time()
    page(gated, "cost", name)  # type: ignore[arg-type]
    return time.process_time() - started


if __name__ == "__main__":
    main()
