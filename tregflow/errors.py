"""Everything that can be said to a user about an input, with a stable code.

A *finding* is one sentence about one place. Its code's first letter is the answer it gives:

- ``E-`` refuse: there is no number for this file, template or sheet;
- ``F-`` flag: a number is computed and withheld until a reviewer accepts it;
- ``N-`` note: it stands in the report and changes nothing.

A `TregflowError` carries findings that refuse. It prints as sentences, never as a traceback;
every other exception is a fault of ours. Tests bind to codes, not to prose.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

CODES: dict[str, str] = {
    # the template, the sheet, the command
    "E-USAGE": "The command line asks for something that cannot be done. Nothing was computed.",
    "E-YAML": "The document is not YAML that can be read safely: one value per key, no tags, aliases or anchors.",
    "E-TEMPLATE": "The template says something that has no meaning. Every mistake is listed with its line and column.",
    "E-UNBUILT": "The template asks for something that this version cannot do yet.",
    "E-SHEET": "The sample sheet says something that has no meaning. Every mistake is listed with its row and column.",
    "E-TABLE": "A table could not be read: not text, or its columns cannot be told apart.",
    # one file, while reading
    "E-MISSING": "The file is not there. Check the name in the sheet and the folder it is relative to.",
    "E-UNREADABLE": "The operating system did not let the file be read.",
    "E-NOT-FCS": "The file does not begin as an FCS file does.",
    "E-HEADER": "The HEADER segment does not say where the other segments are.",
    "E-TEXT": "The TEXT segment cannot be split into keywords and values.",
    "E-KEYWORD": "A keyword that decides how the events are read is missing or has no meaning.",
    "E-LAYOUT": "The way the events are stored is one that is not read.",
    "E-OFFSETS": "The offsets of DATA do not fit the events that the file announces.",
    "E-TRUNCATED": "The file is shorter than it says. Copy or export it again.",
    "E-MODE": "The file holds a histogram, not list-mode events.",
    "E-DATASET": "The file holds several data sets and the sheet does not say which is meant.",
    "E-SPILL": "The spillover matrix is missing, or cannot be used with this file.",
    "E-CHANGED": "The file's content is not what it was when it was gated under this name.",
    "E-TWICE": "Two rows of the sheet lead to the same events.",
    # one file, while gating
    "E-MARKER": "A marker of the template cannot be bound to exactly one detector of the file.",
    "E-SCALING": "The file leaves open how stored values become scale values, and the template does not decide.",
    "E-GATE": "A gate could not be placed and the template stores none to fall back to.",
    "E-FEW": "A population has too few events for a number to be reported.",
    "E-EMPTY-FILE": "The file holds no events.",
    "E-WORKER": "The process that gated this file died twice, alone with it.",
    "E-INTERNAL": "A fault of tregflow's own. The traceback is in the results folder.",
    # writing
    "E-WRITE": "The results could not be written. Nothing was published; finished outcomes stay.",
    "E-BUSY": "Another run holds the results folder.",
    "E-OUT": "The output folder holds something that is not a tregflow result.",
    # flags
    "F-FALLBACK": "A gate could not be found in the events and the stored gate was used.",
    "F-BOUND": "A gate stopped at the bound that the template sets for it.",
    "F-SKIPPED": "A gate on the way to a reported measure was skipped because its marker is absent.",
    "F-FEW": "A population has fewer events than the template wants for a number without a look.",
    "F-EMPTY": "A percentage has no denominator.",
    "F-OFFSETS": "HEADER and TEXT disagree about where the events are; one of them fits.",
    "F-TOT": "The number of events announced is not the number stored.",
    "F-GAP": "Bytes between TEXT and DATA belong to no segment; columns may have rotated.",
    "F-SHIFT": "TEXT does not end where HEADER says; a byte may be lost or added before the events.",
    "F-JOINED": "Another FCS file begins behind the events, and nothing in the file says so.",
    "F-SUPPLEMENT": "The supplemental TEXT contradicts the primary one; the primary one holds.",
    "F-GAIN": "A gated channel has an amplifier gain and the template does not say whether to apply it.",
    "F-SPILL-IDENTITY": "The spillover matrix is the identity: compensated before, or not at all.",
    "F-SPILL-CONDITION": "The spillover matrix magnifies noise.",
    "F-SPILL-STAIN": "The spillover matrix names stains where it should name detectors; they were matched one to one.",
    "F-NONFINITE": "More than one event in a thousand has a value that is not a finite number.",
    "F-NAMES": "Two channels of the file have the same name, or one has none.",
    "F-STAIN": "The stain that the file gives a detector is not the marker that the sheet names it for.",
    # notes
    "N-OFFSETS": "An offset was repaired; the number of events proves the repair.",
    "N-TEXT": "The TEXT segment departs from the standard in a way that leaves no doubt.",
    "N-KEYWORD": "A keyword that the events do not need is missing or odd.",
    "N-DATASET": "The file holds further data sets.",
    "N-ENCODING": "A keyword's value is not UTF-8 and was read as Latin-1.",
    "N-TOKEN": "A marker was bound by one word of a longer stain name.",
    "N-TWIN": "The file holds raw and compensated columns of one detector; the compensation setting decided.",
    "N-SCALING": "Stored values were linearised on the way to scale values.",
    "N-SPILL": "Something about the spillover matrix that does not change a number.",
    "N-NONFINITE": "Events with a value that is not a finite number were left out of the root.",
    "N-MOVED": "A gate was found away from the stored one, within its bounds.",
    "N-RETRIED": "The process that gated this file died once; the file was gated again, alone.",
    "N-GUESSED": "A column of a drafted sheet was guessed; look it through.",
    "N-WINDOW": "A window in the template is wide.",
    "N-RUN-GUESSED": "The run was guessed from the date and cytometer in the file.",
}
"""Every code with its meaning: what ``tregflow explain CODE`` prints."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one place.

    Parameters
    ----------
    code : str
        A key of `CODES`.
    sentence : str
        What was seen, with its figures, and what would help.
    where : str
        The file, or ``document:line:column``; empty until someone who knows adds it.
    """

    code: str
    sentence: str
    where: str = ""

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise KeyError(f"{self.code} is not in CODES")

    def at(self, where: str) -> Finding:
        """Return the same finding, said of a place unless it names one already."""
        return self if self.where else replace(self, where=where)

    @property
    def answer(self) -> str:
        """``refuse``, ``flag`` or ``note``."""
        return {"E": "refuse", "F": "flag", "N": "note"}[self.code[0]]

    def __str__(self) -> str:
        return "  ".join(part for part in (self.code, self.where, self.sentence) if part)


class TregflowError(Exception):
    """Something a user can mend: one or more findings that refuse.

    Parameters
    ----------
    findings : Finding or iterable of Finding
        At least one; the first gives the error its code.
    """

    status: ClassVar[int] = 1
    """The exit status when this error ends a command."""

    def __init__(self, findings: Finding | Iterable[Finding]) -> None:
        self.findings = (findings,) if isinstance(findings, Finding) else tuple(findings)
        super().__init__(self.findings)

    @property
    def code(self) -> str:
        """The code of the first finding."""
        return self.findings[0].code

    def at(self, where: str) -> TregflowError:
        """Return the same error, its findings said of a place."""
        return type(self)(finding.at(where) for finding in self.findings)

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))


class InputError(TregflowError):
    """The command, the template or the sheet is wrong, and nothing was computed."""

    status = 2


class FileError(TregflowError):
    """One file is refused; no other file suffers."""


class OutputError(TregflowError):
    """The results could not be written, and nothing was published."""

    status = 4


class BusyError(TregflowError):
    """Another run holds the results folder."""

    status = 5


class GateError(Exception):
    """A method could not place its gate; the message is the reason, without a full stop."""


def refuse(code: str, sentence: str, where: str = "") -> FileError:
    """Return the error that refuses one file."""
    return FileError(Finding(code, sentence, where))


def nearest(word: str, words: Iterable[str]) -> str:
    """Return ``; did you mean "…"?`` with the closest of `words`, or nothing."""
    from difflib import get_close_matches

    folded = {known.casefold(): known for known in words}
    close = get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return f'; did you mean "{folded[close[0]]}"?' if close else ""
