"""``python -m tregflow``, and the command itself.

A worker process imports this module again; it must find nothing here to import.
"""

from __future__ import annotations

from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and end with its exit status."""
    from tregflow.cli import main as run

    run()


if __name__ == "__main__":
    main()
