"""``python -m tregflow``, and the command itself.

A worker process imports this module again; it must find nothing here to import. What modules make while
they are imported is not rubbish: looking for some a hundred times costs a tenth of the start.
"""

from __future__ import annotations

import gc
import os
from typing import NoReturn

gc.set_threshold(50_000)


def main() -> NoReturn:
    """Run the command line and end with its exit status."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads that nothing here uses cost 0.1 s to start
    from tregflow.cli import main as run

    run()


if __name__ == "__main__":
    main()
