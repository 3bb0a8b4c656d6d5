"""The data sets of a file: HEADER and TEXT of each, chained by ``$NEXTDATA`` (FCS 3.1, 3.2.20)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO

from tregflow.errors import FileError, Finding, refuse
from tregflow.io.fcs.segments import EMPTY, HEADER_LENGTH, Header, Source, Span, read_header, stated_span
from tregflow.io.fcs.text import LARGEST_TEXT, Text, merged, read_text, whole
from tregflow.privacy import BLANKS

MOST_DATA_SETS = 1_000


@dataclass(frozen=True, slots=True)
class DataSet:
    """One data set's HEADER and TEXT, before they are interpreted.

    Parameters
    ----------
    source : Source
        Its stretch of the file.
    header : Header
        Its HEADER.
    text : Text
        Its keywords.
    """

    source: Source
    header: Header
    text: Text

    def stated(self, first: str, last: str) -> Span:
        """Return the bytes that two keywords of TEXT state, `EMPTY` where they do not."""
        begin, end = whole(self.text.keywords.get(first)), whole(self.text.keywords.get(last))
        return EMPTY if begin is None or end is None else stated_span(begin, end)

    @property
    def supplement(self) -> Span:
        """Bytes of the supplemental TEXT; some writers repeat the primary's there and mean none."""
        span = self.stated("$BEGINSTEXT", "$ENDSTEXT")
        return EMPTY if span.length <= 1 or span.overlaps(self.header.text) else span

    @property
    def analysis(self) -> Span:
        """Bytes of ANALYSIS; TEXT says where when HEADER does not; none, if not all in the file."""
        stated = self.stated("$BEGINANALYSIS", "$ENDANALYSIS")
        span = self.header.analysis if self.header.analysis != EMPTY else stated
        return span if span.end <= self.source.size + 1 else EMPTY

    def claimed(self) -> tuple[Span, ...]:
        """Return the segments beside TEXT and DATA."""
        return (self.analysis, self.supplement, *_other_segments(self.source, self.header))


def _other_segments(source: Source, header: Header) -> Iterator[Span]:
    """Yield the OTHER segments: further offset pairs between HEADER and TEXT (FCS 3.1, 3.1)."""
    fields = source.read(Span(HEADER_LENGTH, min(header.text.begin, 4096)))
    numbers = [whole(fields[at : at + 8].decode("latin-1")) for at in range(0, len(fields) - 7, 8)]
    for begin, last in zip(numbers[::2], numbers[1::2], strict=False):
        if begin and last:
            yield stated_span(begin, last)


@dataclass(frozen=True, slots=True)
class Chain:
    """The data sets of a file.

    Parameters
    ----------
    sets : tuple of DataSet
        At least one.
    findings : tuple of Finding
        What is odd about the chain.
    is_broken : bool
        Whether a further data set begins where it should and cannot be read.
    """

    sets: tuple[DataSet, ...]
    findings: tuple[Finding, ...] = ()
    is_broken: bool = False


def read_data_sets(stream: IO[bytes]) -> Chain:
    """Return the data sets of an open file, at least one, and what is odd about their chain.

    Raises
    ------
    FileError
        If the first one cannot be read; a later one only ends the chain.
    """
    found = [_data_set(Source(stream, 0, os.fstat(stream.fileno()).st_size))]
    while len(found) < MOST_DATA_SETS and sum(each.header.text.length for each in found) <= LARGEST_TEXT:
        last = found[-1]
        offset, stray = _next_offset(last)
        if not offset:
            return Chain(tuple(found), stray)
        try:
            following = _data_set(last.source.after(offset))
        except FileError as problem:
            sentence = f"data set {len(found) + 1} cannot be read: {problem.findings[0].sentence}"
            return Chain(tuple(found), (Finding("N-DATASET", sentence),), is_broken=True)
        found[-1:] = [replace(last, source=last.source.ending_at(offset)), following]
    said = f"only the first {len(found):,} data sets were looked at"
    return Chain(tuple(found), (Finding("N-DATASET", said),))


def _data_set(source: Source) -> DataSet:
    header = read_header(source)
    return DataSet(source, header, read_text(source, header.text))


def _next_offset(last: DataSet) -> tuple[int, tuple[Finding, ...]]:
    """Return where the next data set begins, from the beginning of this one; 0 where there is none."""
    stated = last.text.keywords.get("$NEXTDATA", "").strip(BLANKS)
    offset = whole(stated) if stated else 0
    if offset is None:
        return 0, (Finding("N-DATASET", "$NEXTDATA is not a number; no further data set was looked for"),)
    if offset == 0 or (0 < offset < last.source.size and last.source.after(offset).begins_a_data_set()):
        return offset, ()
    sentence = f"$NEXTDATA is {offset}, where no data set begins; no further one was looked for"
    return 0, (Finding("N-DATASET", sentence),)


def supplemented(data_set: DataSet) -> DataSet:
    """Return a data set with the keywords of its supplemental TEXT added (FCS 3.1, 3.2.20 ``$BEGINSTEXT``)."""
    span = data_set.supplement
    if span == EMPTY:
        return data_set
    try:
        if span.end > data_set.source.size + 1:
            raise refuse("E-TEXT", f"its bytes {span} lie beyond the file")
        if data_set.source.read(Span(span.begin, span.begin + 1)).isalnum():
            raise refuse(
                "E-TEXT", f"its bytes {span} are no text: they begin with a letter or digit for a delimiter"
            )
        text = merged(data_set.text, read_text(data_set.source, span, "the supplemental TEXT"))
    except FileError as problem:
        sentence = f"the supplemental TEXT was not read: {problem.findings[0].sentence}"
        text = replace(data_set.text, findings=(*data_set.text.findings, Finding("N-TEXT", sentence)))
    return replace(data_set, text=text)
