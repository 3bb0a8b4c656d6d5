"""``python -m tregflow``."""

from tregflow.cli import main

if __name__ == "__main__":
    main()
