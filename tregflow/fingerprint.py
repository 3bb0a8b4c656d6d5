"""What stored coordinates belong to: a dye, on a detector, at a voltage.

A cut that was read off PE means nothing on APC, and little on PE at another voltage. A template may say for
each marker what its coordinates were placed on; a file that differs is told, and stored gates of that marker
do not hold there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from tregflow.binding import Marker, bare, folded
from tregflow.errors import Finding
from tregflow.privacy import BLANKS
from tregflow.sample import Channel, Sample

TUNING = 0.02
"""Share of its voltage by which a detector is tuned from day to day: about 0.06 decade of a multiplier's gain."""


def strangers(markers: Iterable[Marker], sample: Sample, channels: Mapping[str, int]) -> dict[str, str]:
    """Return the markers whose stored coordinates belong to something else than this file has.

    What a file or a template does not state is not compared. A dye is stated by ``$PnTAG`` (FCS 3.2); where
    detectors are named by dyes, another dye is another detector.

    Parameters
    ----------
    markers : iterable of Marker
        With their fingerprints.
    sample : Sample
        The file.
    channels : mapping of str to int
        Channel of each marker that was found.

    Returns
    -------
    dict of str to str
        What differs in words, by marker.
    """
    ways = {
        marker.name: list(_ways(marker.fingerprint, sample, channels[marker.name]))
        for marker in markers
        if marker.fingerprint and marker.name in channels
    }
    return {name: " and ".join(told) for name, told in ways.items() if told}


def findings_of(strange: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return the flag that says which markers are strange to the template; none where none is."""
    told = "; ".join(f"{marker} {way}" for marker, way in strange.items())
    return (Finding("F-FINGERPRINT", told),) if told else ()


def volts(channel: Channel) -> float:
    """Return a detector's ``$PnV``; NaN where it is not stated as a number above 0."""
    try:
        number = float(channel.voltage.strip(BLANKS))
    except ValueError:
        return math.nan
    return number if math.isfinite(number) and number > 0 else math.nan


def is_tuning(there: float, here: float) -> bool:
    """Whether two voltages differ by no more than detectors are tuned from day to day; never where one is NaN."""
    return abs(there - here) <= TUNING * min(there, here)


def _ways(fingerprint: Mapping[str, str | float], sample: Sample, place: int) -> Iterator[str]:
    """Yield how a channel differs from what a marker's coordinates belong to."""
    channel = sample.channels[place]
    detector, dye = (str(fingerprint.get(key, "")) for key in ("detector", "dye"))
    if detector and bare(detector).casefold() != bare(channel.name).casefold():
        yield f"is on {channel.name}, in the template on {detector}"
        return
    # the value of $PnTAG is not on the keep-list, so the file's word is not told
    tag = sample.keywords.get(f"$P{place + 1}TAG", "").strip(BLANKS)
    if dye and tag and folded(tag) != folded(dye):
        yield f"has another dye ($P{place + 1}TAG), in the template {dye}"
    asked, here = float(fingerprint.get("voltage", math.nan)), volts(channel)
    if math.isfinite(asked) and math.isfinite(here) and not is_tuning(asked, here):
        yield f"runs at {here:g} V, in the template at {asked:g} V"
