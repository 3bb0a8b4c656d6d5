"""Random edits of HEADER and TEXT in large numbers: what the reader makes of them.

Cases are drawn as those of ``tests/io/test_fuzz.py``, from a generator whose seed is the case's name, so
that any of them is repeated by ``--only NAME``. They are read in child processes, each case within 2 CPU
seconds and the process within 300 MB more than it had. Needs what the tests need.

    python benchmarks/fuzz.py [--cases 100000] [--seed 0] [--jobs 2]
    python benchmarks/fuzz.py --only 0:4711
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from fcs_edits import KINDS, Case, Hung, Outcome, draw_case, judged, limited, peak_memory, reduced

SECONDS, MEGABYTES = 2.0, 300
CHUNK = 1_000

WORDS = 15
"""Keywords that the table of other words names."""

ANSWERS = {
    "unchanged": "the edits left the file as it was",
    "as before": "read as before",
    "said": "read otherwise, and said so (flag)",
    "refused": "refused in a sentence",
    "silent": "other stored values, no flag",
    "other words": "the same stored values under other words or scaling, no flag",
}

WHY = {
    "4,300 digits": "The offsets stayed behind: TEXT is cut in the middle of the number, and DATA begins in its digits.",
    "$PnR": "A range that the bits can hold is as legal as the one before; where a tag stands above it, or nothing, no"
    " event contradicts it. (A range of 1 or less does contradict integers, and could be flagged.)",
    "$PnB": "Widths that were exchanged leave the length of an event as it was, and no range is exceeded.",
    "$PnDATATYPE": "Integers that are read as floats are tiny numbers; time may be anything and is not looked at.",
    "$BYTEORD": "Integers that fill their range are as likely in the other order.",
}
"""Why one edit of a keyword is not seen."""

Group = tuple[str, ...]


@dataclass
class Tally:
    """What became of some cases.

    Parameters
    ----------
    answers : counts by answer
    codes : counts by answer and code
    kinds : of the cases with one edit, counts by kind of edit and answer
    found : of silent cases and other words, by answer and by the edits that suffice: count, how many of
        them without even a note, and the shortest example
    faults : what was raised, or took too long or too much, with the case's name
    """

    answers: Counter[str] = field(default_factory=Counter)
    codes: Counter[tuple[str, str]] = field(default_factory=Counter)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    found: dict[tuple[str, Group], tuple[int, int, str]] = field(default_factory=dict)
    faults: list[tuple[str, str]] = field(default_factory=list)
    longest: tuple[float, str] = (0.0, "")
    peak: float = 0.0

    def add(self, other: Tally) -> None:
        """Add what became of other cases."""
        self.answers += other.answers
        self.codes += other.codes
        self.kinds += other.kinds
        self.faults += other.faults
        self.longest, self.peak = max(self.longest, other.longest), max(self.peak, other.peak)
        for key, (count, unnoted, example) in other.found.items():
            self.found_more(key, count, unnoted, example)

    def found_more(self, key: tuple[str, Group], count: int, unnoted: int, example: str) -> None:
        """Add cases of one answer and one group of edits."""
        before = self.found.get(key, (0, 0, example))
        self.found[key] = (
            before[0] + count,
            before[1] + unnoted,
            min(before[2], example, key=lambda one: (len(one), one)),
        )


def case_of(name: str) -> Case:
    """Return the case of a name, ``SEED:NUMBER``."""
    return draw_case(random.Random(name))


def run(names: Sequence[str]) -> Tally:
    """Read cases one after the other."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder, peak_memory() as grown:
        path = Path(folder, "tube.fcs")
        judged(Case(case_of(names[0]).good, ()), path)  # imports and caches are not the case's
        with memory_limit(MEGABYTES):
            for name in names:
                read(name, path, tally)
        tally.peak = grown()
    return tally


def read(name: str, path: Path, tally: Tally) -> None:
    """Read one case, and put down what became of it."""
    case = case_of(name)
    try:
        with limited(SECONDS):
            outcome = judged(case, path)
        answer = "unchanged" if case.raw == case.good.raw else outcome.answer
        if answer in ("silent", "other words"):
            note(name, case, answer, path, tally)
    except (Exception, Hung) as fault:  # noqa: BLE001 - what is raised here is what is looked for
        kind = {"Hung": "hang", "MemoryError": "memory"}.get(type(fault).__name__, "raw")
        tally.answers[kind] += 1
        tally.faults.append((kind, f"{name} | {case!r}\n{traceback.format_exc(limit=-4)}"))
        return
    tally.longest = max(tally.longest, (outcome.seconds, name))
    tally.answers[answer] += 1
    tally.codes.update((answer, code) for code in set(outcome.codes))
    if len(case.edits) == 1:
        tally.kinds[case.edits[0].kind, answer] += 1


def note(name: str, case: Case, answer: str, path: Path, tally: Tally) -> None:
    """Put down a case by the fewest edits that do it."""

    def outcome(one: Case) -> Outcome:
        with limited(SECONDS):
            return judged(one, path)

    fewest = reduced(case, lambda one: outcome(one).answer == answer)
    group = tuple(sorted(f"{edit.kind}, {edit.what}" for edit in fewest.edits))
    tally.found_more((answer, group), 1, int(not outcome(fewest).is_noted), f"{fewest!r} [{name}]")


@contextmanager
def memory_limit(megabytes: int) -> Iterator[None]:
    """Let the process grow by so much and no more, where the system can."""
    try:
        import resource
    except ImportError:
        yield
        return
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + megabytes * 2**20, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def run_all(cases: int, seed: int, jobs: int) -> Tally:
    """Read all cases, in chunks, in child processes."""
    names = [f"{seed}:{number}" for number in range(cases)]
    chunks = [names[start : start + CHUNK] for start in range(0, cases, CHUNK)]
    total = Tally()
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for done, tally in enumerate(pool.map(run, chunks), 1):
            total.add(tally)
            print(f"\r{min(done * CHUNK, cases):,} of {cases:,}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return total


# --- what is printed ------------------------------------------------------------------------------


def report(total: Tally, seconds: float) -> None:
    for _, told in total.faults:
        print(told)
    by_kind(total)
    words(total)
    silent(total)
    summary(total, seconds)


def by_kind(total: Tally) -> None:
    """Print what became of the cases with one edit."""
    columns = [*ANSWERS, "raw"]
    print(f"\n{'cases with one edit':26}" + "".join(f"{name:>12}" for name in columns))
    for kind in KINDS:
        print(f"{kind:26}" + "".join(f"{total.kinds[kind, name]:12,}" for name in columns))


def silent(total: Tally) -> None:
    """Print what was silently other, by the edits that suffice, with an example and a reason for each."""
    groups = {group: seen for (given, group), seen in total.found.items() if given == "silent"}
    print(f"\nsilently other values: {sum(seen[0] for seen in groups.values()):,}")
    for group, (count, unnoted, example) in sorted(
        groups.items(), key=lambda item: (len(item[0]), -item[1][0])
    ):
        print(f"{count:7,}  {' + '.join(group)}; {unnoted:,} without a note")
        print(f"{'':9}such as {example}")
        print(f"{'':9}{why(group)}")


def why(group: Group) -> str:
    """Return why edits were not seen; a reason that nobody has looked for is not made up."""
    if len(group) > 1:
        return "No smaller set of these edits does it: one moves DATA or its meaning, the others take away what would tell."
    return next((told for what, told in WHY.items() if what in group[0]), "No reason is known: look into it.")


def words(total: Tally) -> None:
    """Print what was read under other words, by the keyword edited."""
    tables: defaultdict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for (answer, group), seen in total.found.items():
        if answer == "other words":
            tables[group[0].split(", ")[-1] if len(group) == 1 else "edits together"].append(seen)
    ranked = sorted(tables.items(), key=lambda item: -sum(seen[0] for seen in item[1]))
    print(f"\n{ANSWERS['other words']}, by the keyword edited: cases, of them without a note, an example")
    for what, found in ranked[:WORDS]:
        count, unnoted = (sum(seen[place] for seen in found) for place in (0, 1))
        print(f"{count:7,} {unnoted:7,}  {what:22} {min((seen[2] for seen in found), key=len)}")
    rest = [seen for _, found in ranked[WORDS:] for seen in found]
    count, unnoted = (sum(seen[place] for seen in rest) for place in (0, 1))
    print(f"{count:7,} {unnoted:7,}  {len(ranked[WORDS:])} other keywords")


def summary(total: Tally, seconds: float) -> None:
    counts = total.answers
    print(f"\n{counts.total():,} cases in {seconds:,.0f} s")
    for answer, told in ANSWERS.items():
        codes = {code: count for (given, code), count in total.codes.items() if given == answer}
        by = ", ".join(
            f"{code} {count:,}" for code, count in sorted(codes.items(), key=lambda item: -item[1])
        )
        print(
            f"{counts[answer]:9,}  {100 * counts[answer] / counts.total():6.2f} %  {told}"
            + (f": {by}" if by else "")
        )
    unnoted = sum(seen[1] for (answer, _), seen in total.found.items() if answer == "silent")
    print(f"silently other values: {counts['silent']:,}, of which {unnoted:,} without even a note")
    print(
        f"raw exceptions: {counts['raw']:,}; hangs ({SECONDS:.0f} s): {counts['hang']:,}; over {MEGABYTES} MB: {counts['memory']:,}"
    )
    print(
        f"longest case {1000 * total.longest[0]:,.0f} CPU ms ({total.longest[1]}); largest process +{total.peak:,.0f} MB"
    )


def show(name: str) -> None:
    """Print one case and what becomes of it."""
    case = case_of(name)
    print(f"{case!r}")
    with tempfile.TemporaryDirectory() as folder:
        print(judged(case, Path(folder, "tube.fcs")))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", metavar="NAME", help="one case, as SEED:NUMBER")
    asked = parser.parse_args()
    if asked.only:
        show(asked.only)
        return
    started = time.perf_counter()
    total = run_all(asked.cases, asked.seed, asked.jobs)
    report(total, time.perf_counter() - started)
    sys.exit(bool(total.faults))


if __name__ == "__main__":
    main()
