"""Whether a file was acquired when its row says, and like the subject's and the run's others."""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from tregflow.binding import bare
from tregflow.errors import Finding
from tregflow.fingerprint import is_tuning
from tregflow.hierarchy import UNSCALED
from tregflow.identity.stated import NAMED, Doubt, Read, Stated, listed
from tregflow.privacy import shown

SHOWN = 3
"""Detectors that one sentence names."""

UNSTATED = {"", "0", "na", "n/a", "none", "unknown"}


def misdated(read: Sequence[Read]) -> Iterator[tuple[str, Doubt]]:
    """Yield what ``$DATE`` says against rows."""
    runs: dict[str, list[Read]] = defaultdict(list)
    for tube, said in read:
        if said.date and tube.collected and said.date < tube.collected:
            told = f"acquired on {said.date} ($DATE), before the blood was drawn: collected says {tube.collected}"
            yield tube.sample, Doubt(Finding("F-DATE", told))
        if said.date and tube.run:
            runs[tube.run].append((tube, said))
    for run, members in runs.items():
        yield from _out_of_run(run, members)


def _out_of_run(run: str, members: Sequence[Read]) -> Iterator[tuple[str, Doubt]]:
    """Yield the tubes that were acquired more than a day from the day on which most of their run were."""
    days: dict[str, list[str]] = defaultdict(list)
    for tube, said in members:
        days[said.date].append(tube.sample)
    most = max(map(len, days.values()))
    usual = [day for day, samples in days.items() if len(samples) == most]
    for tube, said in members:
        far = [day for day in usual if abs((_day(said.date) - _day(day)).days) > 1]
        if far:
            others = "; ".join(f"on {day} ({listed(days[day])})" for day in sorted(far))
            told = f"acquired on {said.date} ($DATE), but other tubes of run {run} {others}"
            yield tube.sample, Doubt(Finding("F-DATE", told))


def _day(date: str) -> dt.date:
    return dt.date.fromisoformat(date)


def unlike_visits(read: Sequence[Read]) -> Iterator[tuple[str, Doubt]]:
    """Yield what differs between the visits of one subject, for each of its full tubes."""
    subjects: dict[str, list[Read]] = defaultdict(list)
    for tube, said in read:
        if tube.tube == "full" and tube.subject and tube.visit:
            subjects[tube.subject.casefold()].append((tube, said))
    for tubes in subjects.values():
        for tube, said in tubes:
            others = [one for one in tubes if one[0].visit.casefold() != tube.visit.casefold()]
            for code, compared in COMPARED.items():
                unlike = [(other.sample, compared(said, told)) for other, told in others]
                yield from _unlike(tube.sample, code, f"{OTHERWISE[code]} in", unlike)


def unlike_run(read: Sequence[Read]) -> Iterator[tuple[str, Doubt]]:
    """Yield gated tubes on another cytometer or detector than most controls of their run."""
    for members in _runs(read):
        controls = [one for one in members if one[0].tube != "full"]
        for tube, said in members:
            others = [one for one in controls if one[0] is not tube]
            for code in ("F-CYTOMETER", "F-DETECTOR") if tube.is_gated else ():
                ways = [(other.sample, COMPARED[code](said, told)) for other, told in others]
                if 2 * sum(bool(how) for _, how in ways) > len(ways):
                    yield from _unlike(
                        tube.sample, code, f"{OTHERWISE[code]} most controls of its run,", ways
                    )


def _runs(read: Sequence[Read]) -> list[list[Read]]:
    runs: dict[str, list[Read]] = defaultdict(list)
    for tube, said in read:
        if run := tube.run or f"{said.date} {said.serial}".strip():
            runs[run].append((tube, said))
    return list(runs.values())


def unlike_controls(read: Sequence[Read]) -> Iterator[tuple[str, Doubt]]:
    """Yield where detectors of a full tube ran otherwise in controls of its run.

    A control is told too where it is the odd one: unlike most full tubes, of two and more.
    """
    for members in _runs(read):
        full = [one for one in members if one[0].tube == "full"]
        controls = [one for one in members if one[0].tube != "full"]
        for code, compared in SETTINGS.items():
            otherwise = f"{OTHERWISE[code]} in"
            for tube, said in full:
                ways = [(other.sample, compared(said, told, said.channels)) for other, told in controls]
                yield from _unlike(tube.sample, code, f"{otherwise} controls of its run,", ways)
            for tube, said in controls:
                ways = [(other.sample, compared(said, told, told.channels)) for other, told in full]
                if len(full) > 1 and 2 * sum(bool(how) for _, how in ways) > len(full):
                    yield from _unlike(tube.sample, code, f"{otherwise} full tubes of its run,", ways)


def how_unlike(own: Stated, other: Stated) -> str:
    """Return why what was seen in another tube does not hold for this one: how it was acquired otherwise.

    Parameters
    ----------
    own, other : Stated
        What the two files say of themselves, each with the channels of its markers.

    Returns
    -------
    str
        Of cytometer, detectors, voltages and gains the first that differs, in words; empty where they agree
        as far as both are stated, and where voltages differ by no more than detectors are tuned.
    """
    ways = (compared(own, other) for code, compared in COMPARED.items() if code != "N-VOLTAGE")
    return next(filter(None, ways), "")


def _unlike(
    sample: str, code: str, otherwise: str, unlike: Iterable[tuple[str, str]]
) -> Iterator[tuple[str, Doubt]]:
    """Yield one sentence on all samples that are unlike this one; those in the same way are named together."""
    ways: dict[str, list[str]] = defaultdict(list)
    for other, how in unlike:
        if how:
            ways[how].append(other)
    if ways:
        told = [f"{listed(samples)} ({how})" for how, samples in list(ways.items())[:NAMED]]
        more = [f"{len(ways) - NAMED} more"] if len(ways) > NAMED else []
        yield sample, Doubt(Finding(code, f"{otherwise} {'; '.join([*told, *more])}"))


def _cytometers(said: Stated, told: Stated) -> str:
    """Return how cytometers differ: by serial number where both files have one, else by name."""
    pairs = (("serial number", told.serial, said.serial), ("cytometer", told.cytometer, said.cytometer))
    for what, there, here in pairs:
        if not {there.casefold(), here.casefold()} & UNSTATED:
            is_same = there.casefold() == here.casefold()
            return "" if is_same else f"{what} {shown(there)}, here {shown(here)}"
    return ""


def _detectors(said: Stated, told: Stated) -> str:
    """Return which markers sit on another detector."""
    return "; ".join(
        f"{marker} on {told.channels[marker]}, here on {detector}"
        for marker, detector in said.channels.items()
        if marker in told.channels and _folded(told.channels[marker]) != _folded(detector)
    )


def _alike(said: Stated, told: Stated) -> dict[str, str]:
    """Return the detectors that carry the same marker in both files."""
    return {
        marker: detector
        for marker, detector in said.channels.items()
        if marker in told.channels and _folded(told.channels[marker]) == _folded(detector)
    }


def _changed(said: Stated, told: Stated, gated: Mapping[str, str]) -> str:
    """Return how gated detectors ran there and here, where one of them ran clearly otherwise."""
    return _voltages(said, told, gated, tuned=False)


def _tuned(said: Stated, told: Stated, gated: Mapping[str, str]) -> str:
    """Return how gated detectors ran there and here, where all of them ran nearly alike."""
    return _voltages(said, told, gated, tuned=True)


def _voltages(said: Stated, told: Stated, gated: Mapping[str, str], *, tuned: bool) -> str:
    """Return how gated detectors ran there and here; nothing where only scatter detectors did otherwise."""
    here, there = _settings(said), _settings(told)
    names = {marker: _folded(detector) for marker, detector in gated.items()}
    differing = {
        marker: (there[name], here[name])
        for marker, name in names.items()
        if name in there and name in here and _differing(there[name], here[name])
    }
    dyes = [pair for marker, pair in differing.items() if not UNSCALED.fullmatch(marker)]
    if not dyes or all(_is_tuning(*pair) for pair in dyes) != tuned:
        return ""
    words = [f"{_seated(marker, gated[marker])} {_differing(*pair)}" for marker, pair in differing.items()]
    more = [f"{len(words) - SHOWN} more"] if len(words) > SHOWN else []
    return "; ".join([*words[:SHOWN], *more])


def _is_tuning(there: tuple[float, float], here: tuple[float, float]) -> bool:
    """Whether a detector was only tuned: the same gain, and nearly the same voltage."""
    return there[1] == here[1] and is_tuning(there[0], here[0])


def _settings(said: Stated) -> dict[str, tuple[float, float]]:
    """Return voltage and gain of each detector; a voltage that is not stated is NaN."""
    return {_folded(name): (said.voltages.get(name, math.nan), gain) for name, gain in said.gains.items()}


def _differing(there: tuple[float, float], here: tuple[float, float]) -> str:
    """Return voltage and gain there and here, as far as both are stated and differ."""
    (volts, gain), (own_volts, own_gain) = there, here
    told = [f"{volts:g} V, here {own_volts:g} V"] if abs(volts - own_volts) > 0 else []
    return ", ".join(told + ([f"gain {gain:g}, here {own_gain:g}"] if gain != own_gain else []))


def _seated(marker: str, detector: str) -> str:
    return marker if marker == detector else f"{marker} on {detector}"


def _folded(detector: str) -> str:
    return bare(detector).casefold()


SETTINGS: Mapping[str, Callable[[Stated, Stated, Mapping[str, str]], str]] = {
    "F-VOLTAGE": _changed,
    "N-VOLTAGE": _tuned,
}
"""What is compared of the detectors that carry gated markers."""

COMPARED: Mapping[str, Callable[[Stated, Stated], str]] = {
    "F-CYTOMETER": _cytometers,
    "F-DETECTOR": _detectors,
    "F-VOLTAGE": lambda said, told: _changed(said, told, _alike(said, told)),
    "N-VOLTAGE": lambda said, told: _tuned(said, told, _alike(said, told)),
}
"""What is compared between two tubes: this file and the other to words, empty where they agree."""

OTHERWISE = {
    "F-CYTOMETER": "another cytometer than",
    "F-DETECTOR": "another detector than",
    "F-VOLTAGE": "another voltage or gain than",
    "N-VOLTAGE": "another voltage than",
}
