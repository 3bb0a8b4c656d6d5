"""What of a file may be shown.

A file's keywords hold names of patients and of staff (``$SRC``, ``$SMNO``, ``$OP``, comments, file names,
private keywords). No output, error or log shows the value of a keyword unless it is on the keep-list
below: keywords that say how events are stored, which channels there are, and on which cytometer and
day they were acquired. The list is closed; what is not on it is counted, or named by its key alone.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping, Sequence

from tregflow.errors import printable

STANDARD = re.compile(
    r"\$(ABRT|ASC|BEGIN(ANALYSIS|DATA|DATETIME|STEXT)|BTIM|BYTEORD|CARRIER(ID|TYPE)|CELLS|COM|COMP|CSMODE|CSTOT"
    r"|CSVBITS|CSV\d+FLAG|CYT|CYTSN|DATATYPE|DATE|DFC\d+TO\d+|END(ANALYSIS|DATA|DATETIME|STEXT)|ETIM|EXP|FIL"
    r"|FLOWRATE|GATE|GATING|G\d+[EFNPRSTV]|INST|LAST_MODIFIED|LAST_MODIFIER|LOCATIONID|LOST|MODE|NEXTDATA|OP"
    r"|ORIGINALITY|P\d+([BDEFGLNOPRSTV]|ANALYTE|CALIBRATION|DATATYPE|DET|FEATURE|TAG|TYPE)|PAR|PK\d+|PKN\d+|PLATEID"
    r"|PLATENAME|PROJ|R\d+[IW]|SMNO|SPILL|SPILLOVER|SRC|SYS|TIMESTEP|TOT|TR|UNICODE|UNSTAINED(CENTERS|INFO)|VOL"
    r"|WELLID)"
)
"""Keywords of the standard, 2.0 to 3.2. A value that is one is a sign of words out of step."""

KEPT = re.compile(
    r"\$(BEGINDATA|ENDDATA|BEGINSTEXT|ENDSTEXT|BEGINANALYSIS|ENDANALYSIS|NEXTDATA"
    r"|BYTEORD|DATATYPE|MODE|PAR|TOT|TIMESTEP|COMP|DFC\d+TO\d+|SPILLOVER|SPILL|DATE|CYT|CYTSN"
    r"|P\d+(B|R|E|N|S|G|V|D|T|O|L|F|P|DATATYPE))"
    r"|SPILL|SPILLOVER|TRANSFORMATION"
)
"""Keywords whose values may be shown."""

BLANKS = " \t\r\n\0"
LONGEST = 24


def is_kept(key: str) -> bool:
    """Whether a keyword's value may be shown; `key` in upper case, ``$`` kept."""
    return KEPT.fullmatch(key) is not None


def quoted(keywords: Mapping[str, str], key: str) -> str:
    """Return the value of a technical keyword for a message: quoted, printable, short.

    Raises
    ------
    ValueError
        If the keyword is not on the keep-list.
    """
    if not is_kept(key):
        raise ValueError(f"{key} is not a keyword that may be shown")
    return shown(keywords.get(key, ""))


def shown(value: str) -> str:
    """Return a word of a technical keyword for a message: quoted, printable, short."""
    word = value.strip(BLANKS)
    start = word if len(word) <= LONGEST else word[: LONGEST - 1] + "…"
    return f'"{printable(start, ".")}"'


def listed(names: Sequence[str], most: int = 6) -> str:
    """Return names for a message, the first few of them where they are many."""
    plain = [shown(name)[1:-1] for name in names[:most]]
    rest = len(names) - len(plain)
    return ", ".join(plain) + (f" and {rest} more" if rest else "")


def keys_listed(keys: Sequence[str]) -> str:
    """Return keys for a message: those of the standard by name, others only counted.

    Where words are out of step a "key" is somebody's value.
    """
    known = [key for key in keys if STANDARD.fullmatch(key)]
    private = len(keys) - len(known)
    counted = [f"{private} private keyword{'s' if private > 1 else ''}"] if private else []
    return " and ".join([*([listed(known)] if known else []), *counted])


def told_fault(error: BaseException) -> str:
    """Return the traceback of a fault of ours without what its messages quote.

    A message may quote a value of the file ("could not convert string to float: …"), so the record of
    a fault says where it happened and of which kind it is, and nothing else.
    """
    lines = []
    for cause in _chain(error):
        lines += traceback.format_tb(cause.__traceback__)
        lines.append(f"{type(cause).__module__}.{type(cause).__qualname__}\n")
    return "Traceback (innermost last; messages are left out, they may quote a file)\n" + "".join(lines)


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error with what it came from, the first cause first."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    return chain[::-1]
