"""What fcsparser makes of files, as one line of JSON each: run by a Python that has no tregflow.

fcsparser 0.2.8 wants numpy 1, so it cannot sit beside FlowKit; this runs in an environment of its own. It
is given ``[[path, data set counted from 0], ...]`` as JSON on standard input and knows nothing of the
answers it is held against.
"""

import hashlib
import json
import logging
import sys
import warnings

import numpy as np

SPILLS = ("$SPILLOVER", "SPILL", "$SPILL", "SPILLOVER", "$COMP")


def told(path: str, data_set: int) -> dict:
    """Return names and the SHA-256 of every column, or the class of the error."""
    from fcsparser.api import FCSParser

    try:
        parser = FCSParser(path, channel_naming="$PnN", data_set=data_set)
        values, text = parser.data, parser.annotation
        names = values.dtype.names
        columns = [values[name] for name in names] if names else list(values.T)
    except Exception as error:  # noqa: BLE001 - whatever it refuses with is its answer
        return {"error": type(error).__name__}
    numbers = range(1, text["$PAR"] + 1)
    return {
        "n_events": len(values),
        "names": [text.get(f"$P{number}N") for number in numbers],
        "stains": [text.get(f"$P{number}S") for number in numbers],
        "columns": [digest(column) for column in columns],
        "spillover": {key: text[key] for key in SPILLS if key in text},
    }


def digest(column: np.ndarray) -> str:
    """Return the SHA-256 of a column as little-endian doubles, every NaN the same."""
    with np.errstate(invalid="ignore"):
        values = np.asarray(column).astype("<f8")
    values[np.isnan(values)] = np.nan
    return hashlib.sha256(values.tobytes()).hexdigest()


def main() -> None:
    """Answer every file that is asked for, in order."""
    warnings.simplefilter("ignore")
    logging.disable()
    for path, data_set in json.load(sys.stdin):
        sys.stdout.write(json.dumps(told(path, data_set)) + "\n")


if __name__ == "__main__":
    main()
