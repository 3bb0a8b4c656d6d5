"""Everything that can be said to a user about an input, with a stable code.

A *finding* is one sentence about one place. Its code's first letter is the answer it gives:

- ``E-`` refuse: there is no number for this file, template or sheet;
- ``F-`` flag: a number is computed, and not to be used before someone has looked;
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
    "E-USAGE": (
        "The command line asks for something that cannot be done. Nothing was computed. "
        "Read the sentence beside it and tregflow COMMAND --help."
    ),
    "E-YAML": (
        "The document is not YAML that can be read safely: one value per key, no tags, aliases or anchors. "
        "Write the values out plainly; the place is given as line and column."
    ),
    "E-TEMPLATE": (
        "The template says something that has no meaning. Every mistake is listed with its line and column. "
        "Mend the places that are named; an editor that knows gating_strategies/template.schema.json completes what may stand there."
    ),
    "E-UNBUILT": (
        "The template asks for something that this version cannot do yet. "
        "Leave it out, or write what the sentence offers instead."
    ),
    "E-SHEET": (
        "The sample sheet says something that has no meaning. Every mistake is listed with its row and column. "
        "Mend the rows and columns that are named; columns of your own begin with x_."
    ),
    "E-TABLE": (
        "A table could not be read: not text, or its columns cannot be told apart. "
        "Save it as CSV in UTF-8, separated by comma, semicolon or tab, or as .xlsx."
    ),
    # one file, while reading
    "E-MISSING": "The file is not there. Check the name in the sheet and the folder it is relative to.",
    "E-UNREADABLE": (
        "The operating system did not let the file be read. "
        "Ask for permission to read it, or copy it to a folder of yours."
    ),
    "E-NOT-FCS": (
        "The file does not begin as an FCS file does. "
        "Look at what it is: a saved web page, a packed archive, an empty copy. Export it again from the cytometer."
    ),
    "E-HEADER": (
        "The HEADER segment does not say where the other segments are. "
        "The file is damaged at its very beginning. Copy or export it again."
    ),
    "E-TEXT": (
        "The TEXT segment cannot be split into keywords and values. "
        "The file is damaged, or its exporter wrote it wrongly. Export it again, if need be with other software."
    ),
    "E-KEYWORD": (
        "A keyword that decides how the events are read is missing or has no meaning. "
        "Export the file again with all its keywords; values are never guessed where they decide a number."
    ),
    "E-LAYOUT": (
        "The way the events are stored is one that is not read. "
        "Export the file again as list-mode floats or whole-byte integers."
    ),
    "E-OFFSETS": (
        "The offsets of DATA do not fit the events that the file announces. "
        "The file is damaged, or was changed after it was written. Copy or export it again."
    ),
    "E-TRUNCATED": "The file is shorter than it says. Copy or export it again.",
    "E-PACKED": (
        "The file is packed with gzip and cannot be unpacked: it is damaged, holds more than is believed of an FCS file, or there is no room for it. "
        "Unpack it yourself, look at what comes out, and name that file in the sheet."
    ),
    "E-MODE": (
        "The file holds a histogram, not list-mode events. Export the events themselves, in list mode."
    ),
    "E-DATASET": (
        "The file holds several data sets, or a second one that cannot be read, and the sheet does not say which is meant. "
        "Write 1, 2, … into the column data_set of its row."
    ),
    "E-SPILL": (
        "The spillover matrix is missing, or cannot be used with this file. "
        "Export the file with its compensation, name a table in the template (compensation: TABLE.csv), or write compensation: none if the values are compensated already."
    ),
    "E-CHANGED": (
        "The file's content is not what it was when it was gated under this name. "
        "If the new content is right, run again with --accept-changed; if the file is still being written, wait."
    ),
    "E-TWICE": (
        "Two rows of the sheet lead to the same events. "
        "One of the two is a wrong copy: export it again, or take its row out; neither is reported until then."
    ),
    # one file, while gating
    "E-MARKER": (
        "A marker of the template cannot be bound to exactly one detector of the file. "
        "Name the detector in the sheet (a column channel:MARKER), or widen the marker's aliases in the template."
    ),
    "E-SCALING": (
        "The file leaves open how stored values become scale values, and the template does not decide. "
        "Write scaling: {gain: …, log_on_floats: …} in the template, once someone who knows the cytometer has decided."
    ),
    "E-GATE": (
        "A gate could not be placed and the template stores none to fall back to. "
        "Look at the plot. Give the gate a stored cut or outline, or a window in which it can be found."
    ),
    "E-FEW": (
        "A population has too few events for a number to be reported. "
        "Acquire more events. The limit stands in the template under limits."
    ),
    "E-EMPTY-FILE": ("The file holds no events. Acquire the tube again, or take its row out."),
    "E-WORKER": (
        "The process that gated this file died twice, alone with it. "
        "It may need more memory than there is: close other programs, or run with --jobs 1. If it dies again, report it with the file's size and cytometer."
    ),
    "E-INTERNAL": (
        "A fault of tregflow's own. The traceback is in the results folder. "
        "Please report it with that file; it names no keyword's value."
    ),
    # writing
    "E-WRITE": (
        "The results could not be written. Nothing was published; finished outcomes stay. "
        "Make room or choose another --out, and run the same command again: only what is missing is gated."
    ),
    "E-BUSY": ("Another run holds the results folder. Wait for it to end, or choose another --out."),
    "E-OUT": ("The output folder holds something that is not a tregflow result. Name a new or empty folder."),
    # flags
    "F-FALLBACK": (
        "A gate could not be found in the events and the stored gate was used. "
        "Look at the gate on the plot. If the stored gate is right there, accept the number; if it is so in many tubes, the template does not fit them."
    ),
    "F-BOUND": (
        "A gate stopped at the bound that the template sets for it. "
        "Look at the gate on the plot. A cut at the edge of its window usually wants to lie beyond: the dye drifted, or the window is for another panel."
    ),
    "F-WEAK": (
        "A gate was found, but the cells it parts lie less clearly apart than its method trusts. "
        "Look at the gate on the plot. Failed staining, few cells and much background do this; accept the number only where you would have drawn the gate there."
    ),
    "F-UNSETTLED": (
        "A gate has an answer that does not stand firmly: its fit had not come to rest, or it often has no answer, or one at a bound, when it is placed again on draws of the same events. "
        "Look at the gate on the plot; if it lies well, accept it. With few cells, the next tube may have no answer."
    ),
    "F-OFF-AXIS": (
        "More than one in a thousand events lie at or below zero, where a log scale has no place: they are neither in the gate nor on its other side. "
        "Give the marker a logicle scale, which has a place for them, and carry the gate's coordinates to it."
    ),
    "F-BRIDGE": (
        "The run's reference tube does not carry every stored coordinate of the template to this run. "
        "Look at the reference tube's own page first; then at the gates of this one."
    ),
    "F-SKIPPED": (
        "A gate on the way to a reported measure was skipped because its marker is absent. "
        "The measure is not quite what its name says, dead or other cells may be in it. Accept it knowingly, or bind the marker."
    ),
    "F-FEW": (
        "A population has fewer events than the template wants for a number without a look. "
        "The counting error is large; the interval beside the percentage says how large."
    ),
    "F-EMPTY": ("A percentage has no denominator. Look at the plot for the gate that emptied it."),
    "F-OFFSETS": (
        "HEADER and TEXT disagree about where the events are, or give them more bytes than they need. "
        "The number of events decided. Compare the file with a fresh export before accepting it."
    ),
    "F-TOT": (
        "The number of events announced is not the number stored. "
        "All whole events were read. Compare the number with the cytometer's own."
    ),
    "F-GAP": (
        "Bytes between TEXT and DATA belong to no segment, or the fill between them runs on into the events; columns may have rotated. "
        "Compare the plots with another tube of the same run before accepting the number."
    ),
    "F-SHIFT": (
        "TEXT does not end where HEADER says, or the zeros that end a file are not where they should be; bytes may be lost or added before the events. "
        "Compare the plots with another tube of the same run before accepting the number."
    ),
    "F-ZEROS": (
        "The last events are zero in every channel, as in a file whose end was reserved and never written. "
        "Compare the number of events with the cytometer's own, and export the file again."
    ),
    "F-MAGNITUDE": (
        "Values are larger or smaller than a cytometer measures, or integers exceed their range; bytes may be read in the wrong order, or a range be wrong. "
        "Compare the plots with another tube of the same run; if they look like noise, or bright cells are missing, export the file again."
    ),
    "F-JOINED": (
        "Another FCS file begins behind the events, and nothing in the file says so. "
        "Ask for the files one by one; only the first was read."
    ),
    "F-SUPPLEMENT": (
        "The supplemental TEXT contradicts the primary one; the primary one holds. "
        "Compare the stains bound, in files.csv, with the panel."
    ),
    "F-GAIN": (
        "A gated channel has an amplifier gain and the template does not say whether to apply it. "
        "Write scaling: {gain: apply} or {gain: ignore}; FlowKit divides by it, some other programs do not."
    ),
    "F-SPILL-IDENTITY": (
        "The spillover matrix is the identity: compensated before, or not at all. "
        "Find out which. If the events are compensated, write compensation: none; if they never were, name a table."
    ),
    "F-SPILL-CONDITION": (
        "The spillover matrix magnifies noise. "
        "Compare it with the matrices of other runs; two dyes may be all but the same to these detectors."
    ),
    "F-SPILL-STAIN": (
        "The spillover matrix names stains where it should name detectors; they were matched one to one. "
        "Compare the pairs with the panel before accepting the number."
    ),
    "F-SPILL-INDEX": (
        "The spillover matrix numbers its detectors instead of naming them; they were matched by their place in the file. "
        "Compare the pairs with the panel before accepting the number."
    ),
    "F-TRANSFORMED": (
        "The events look transformed, or the instrument or the program that wrote the file may have compensated or transformed them. "
        "Find out which. Gate the cytometer's own export; for compensated events write compensation: none, for transformed ones scales: {fluorescence: none}."
    ),
    "F-RANGE": (
        "An integer parameter claims a range that its bits cannot hold, or none. "
        "One of the two keywords is wrong. Compare the plots with another tube of the same run before accepting the number."
    ),
    "F-SPILL-PARTIAL": (
        "The spillover matrix leaves out detectors that gates look at; these stay uncompensated. "
        "Name a matrix of the whole panel, or accept the number if these dyes spill into nothing and nothing into them."
    ),
    "F-NONFINITE": (
        "More than one event in a thousand has a value that is not a finite number. "
        "They were left out of the root. Find out what wrote them; an export after a division often does."
    ),
    "F-NAMES": (
        "Two channels of the file have the same name, or one has none. "
        "A gate that needs one of them refuses the file. Name channels apart when exporting."
    ),
    "F-STAIN": (
        "The stain that the file gives a detector is not the marker that the sheet names it for. "
        "One of the two is wrong. Compare with the panel as it was stained."
    ),
    "F-IDENTITY": (
        "A keyword of the file names another subject or visit of the sheet than its row does. "
        "Two files may have been swapped, or a word in the sheet mistyped. Run tregflow check --show-values, and compare with the tube's label."
    ),
    "F-DATE": (
        "The file's date contradicts the sheet: acquired before the blood was drawn, or on another day than its run. "
        "Correct the sheet, or find the right file; the cytometer's clock may be wrong too."
    ),
    "F-CYTOMETER": (
        "A tube was acquired on another cytometer than the subject's other visits, or than the rest of its run. "
        "Stored gates and brightness do not carry from one cytometer to another. Accept it only if both were bridged."
    ),
    "F-VOLTAGE": (
        "A gated detector ran at another gain, or at a voltage more than a fiftieth away, than at the subject's other visit or in its run. "
        "Brightness moved by the instrument, not by the cells. Look at its gates on both pages."
    ),
    "F-DETECTOR": (
        "A marker sits on another detector than at the subject's other visits, or than in the rest of its run. "
        "Another dye or channel needs gates of its own. Accept the number only if the template was made for both."
    ),
    "F-CONTROL": (
        "A tube of the run that a gate looks at is missing, was acquired otherwise, or is flagged or refused itself. "
        "Look at that tube first: mend its row or its file and run the same command again. Without it the gate falls back to its stored place."
    ),
    "F-FINGERPRINT": (
        "A marker is on another detector, dye or voltage than the template's stored coordinates belong to. "
        "Its stored gates are refused in this file; gates that were found in its own events stand. Make a template for these settings, or correct the fingerprint."
    ),
    "F-DIFFER": (
        "A second reader found other values, names or compensation in this file; verify changes no verdict. "
        "One of the two is wrong. Do not use the file's number before it is known which; please report it with the file."
    ),
    # notes
    "N-OFFSETS": "An offset was repaired; the number of events proves the repair.",
    "N-TEXT": (
        "The TEXT segment departs from the standard. "
        "How it was read is told beside it; compare the channels and stains in files.csv with the panel."
    ),
    "N-KEYWORD": "A keyword that the events do not need is missing or odd.",
    "N-VOLTAGE": (
        "Detectors were tuned by up to a fiftieth between visits, or within a run, as daily checks do. "
        "Their gates follow within their windows; the voltages stand in the outcome of each file."
    ),
    "N-MASKED": (
        "Stored integers have bits above their range ($PnR), which the standard says to leave out. "
        "Some cytometers keep other things in these bits."
    ),
    "N-PACKED": "The file is packed with gzip; what it holds was read.",
    "N-IDENTITY": (
        "A keyword that names subject or visit in other files of the sheet does not do so here. "
        "Mostly a slip at the cytometer. Compare with the tube's label."
    ),
    "N-READER": (
        "A second reader could not read the file, or only when told to overlook something. "
        "That says nothing against the file; the limits of the other reader are named beside it."
    ),
    "N-DATASET": "The file holds further data sets.",
    "N-ENCODING": "A keyword's value is not UTF-8 and was read as Latin-1.",
    "N-TOKEN": (
        "A marker was bound by one part of a longer stain name. "
        "files.csv names the detector; an alias in the template makes it exact."
    ),
    "N-TWIN": (
        "The file holds raw and compensated columns of one detector; the compensation setting decided. "
        "files.csv names the column that was taken."
    ),
    "N-SCALING": "Stored values were linearised on the way to scale values.",
    "N-SPILL": "Something about the spillover matrix that does not change a number.",
    "N-NONFINITE": (
        "Events with a value that is not a finite number were left out of the root. "
        "Fewer than one in a thousand."
    ),
    "N-MOVED": (
        "A gate was found away from the stored one, within its bounds. "
        "The distance stands in populations.csv and on the plot."
    ),
    "N-BRIDGED": (
        "Stored coordinates were carried to this run by its reference tube: the same cells, stained in every run. "
        "The decades by which each marker moved stand in the sentence."
    ),
    "N-GAIN": (
        "A gate follows a reference population that is too dim on some axis to tell how bright that detector and its dye were. "
        "A reference tube, an FMO or a single stain of the run would tell; the gate was carried by where these cells lie and how far they spread."
    ),
    "N-ACROSS": (
        "A gate was placed on several tubes together, as the template asks, or on another subject's control. "
        "Its number depends on the tubes that are named."
    ),
    "N-UNBRIDGED": (
        "Nothing carries stored coordinates from one run to the next: the run has no reference tube, or the template no bridge. "
        "What differs between runs then cannot be told from what differs between visits; stain one reference aliquot in every run."
    ),
    "N-TUBES": (
        "The template places gates on control tubes of each run. "
        "Where a run lacks one, its gates fall back to their stored places and their numbers are for review."
    ),
    "N-OFF-AXIS": (
        "Some events, fewer than one in a thousand, lie at or below zero, where a log scale has no place. "
        "They are neither in the gate nor on its other side. A logicle scale has a place for them."
    ),
    "N-RETRIED": (
        "The process that gated this file died once; the file was gated again, alone. "
        "Its numbers are those of an undisturbed run."
    ),
    "N-GUESSED": "A column of a drafted sheet was guessed; look it through.",
    "N-SHEET": (
        "Something in the sheet that gating does not need and comparing does. "
        "Fill the columns subject and visit before the visits are compared."
    ),
    "N-CONTROL": (
        "A control tube does not carry every marker of the template. "
        "Single stains and FMO tubes often do not; its other markers were bound, and no number depends on it."
    ),
    "N-WINDOW": (
        "A window in the template is wide. A cut may move by more than a decade in it before anyone is told."
    ),
    "N-RUN-GUESSED": (
        "The run was guessed from the date and cytometer in the file. "
        "Fill the column run of the sheet if it is wrong."
    ),
}
"""Every code with its meaning and what to do: what ``tregflow explain CODE`` prints."""


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
        if (
            not self.sentence.isprintable()
        ):  # a name in a file may hold anything, a terminal may not be told it
            object.__setattr__(self, "sentence", printable(self.sentence))

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


def printable(text: str, instead: str = "\N{REPLACEMENT CHARACTER}") -> str:
    """Return text without the signs that are not printed: controls, line ends, turned writing."""
    return "".join(sign if sign.isprintable() else instead for sign in text)


def refuse(code: str, sentence: str, where: str = "") -> FileError:
    """Return the error that refuses one file."""
    return FileError(Finding(code, sentence, where))


def nearest(word: str, words: Iterable[str]) -> str:
    """Return ``; did you mean "…"?`` with the closest of `words`, or nothing."""
    from difflib import get_close_matches

    folded = {known.casefold(): known for known in words}
    close = get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return f'; did you mean "{folded[close[0]]}"?' if close else ""
