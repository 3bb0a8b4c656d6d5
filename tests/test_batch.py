"""A batch ends the same whatever happened on the way, and one bad file stops nobody."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import studies
from studies import (
    DETECTORS,
    SAMPLES,
    TEMPLATE,
    everything,
    gated,
    request,
    rewritten,
    row,
    small,
    started,
    until,
    write_sheet,
)

from tregflow.batch import Batch, gate_batch, plan_batch
from tregflow.errors import BusyError, Finding, OutputError
from tregflow.io.documents import load_template
from tregflow.io.fcs import read_fcs
from tregflow.io.files import sha256
from tregflow.io.folder import Folder
from tregflow.job import draw_again
from tregflow.outcome import Evidence, Outcome
from tregflow.populations import wilson
from tregflow.study import Tube

TABLES = {"treg.csv", "populations.csv", "files.csv", "perturbations.csv"}
SHIPPED = Path(__file__).parents[1] / "gating_strategies" / "treg.yaml"


@pytest.fixture
def folder(tmp_path) -> Path:
    return studies.study(tmp_path / "study")


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out"


@pytest.fixture(scope="module")
def calm(tmp_path_factory) -> Path:
    """Return the results of an undisturbed run."""
    root = tmp_path_factory.mktemp("calm")
    assert gated(studies.study(root / "study"), root / "out").status == 0
    return root / "out"


def codes(out: Path) -> dict[str, str]:
    return {sample: cells["codes"] for sample, cells in studies.by_sample(out / "files.csv").items()}


def file_of(folder: Path, sample: str) -> Path:
    return folder / "fcs" / f"{sample}.fcs"


class TestSameBytes:
    def test_for_two_workers_and_a_reversed_sheet(self, folder, out, calm):
        write_sheet(folder, [row(sample) for sample in reversed(SAMPLES)])
        gated(folder, out, workers=2)
        assert everything(out) == everything(calm)
        assert set(everything(out)) == TABLES | {f"outcomes/{sample}.json" for sample in SAMPLES}

    def test_with_the_shipped_template_and_plots(self, folder, tmp_path):
        write_sheet(folder, [row(sample) for sample in SAMPLES[:2]])
        first, second = tmp_path / "first", tmp_path / "second"
        gated(folder, first, template=load_template(SHIPPED), plots=True)
        write_sheet(folder, [row(sample) for sample in SAMPLES[1::-1]])
        gated(folder, second, template=load_template(SHIPPED), plots=True, workers=2)
        assert everything(first) == everything(second)
        assert {f"plots/{sample}.png" for sample in SAMPLES[:2]} < set(everything(first))

    def test_for_files_that_came_one_after_another(self, folder, out, calm):
        for end in (1, 3, 4):
            write_sheet(folder, [row(sample) for sample in SAMPLES[:end]])
            batch = gated(folder, out)
            assert len(batch.kept) == max(0, {1: 0, 3: 1, 4: 3}[end])
        assert everything(out) == everything(calm)

    def test_after_a_run_that_was_killed_in_the_middle(self, folder, calm):
        out = folder / "tregflow_results"
        with started(folder, seconds=0.8) as process:
            until(lambda: len(studies.outcomes(out)) >= 2)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        before = {path: path.stat().st_mtime_ns for path in (out / "outcomes").glob("[!.]*.json")}
        assert 2 <= len(before) < 4
        assert not TABLES & {path.name for path in out.iterdir()}
        (out / "outcomes" / ".S02_W12.json.1a2b3c4d.part").write_bytes(b"half")
        batch = gated(folder, out)
        assert batch.kept == {path.stem for path in before}
        assert {path: path.stat().st_mtime_ns for path in before} == before
        assert everything(out) == everything(calm)

    def test_in_a_folder_that_was_moved_with_its_study(self, folder, out, calm, tmp_path):
        gated(folder, out)
        shutil.move(folder, tmp_path / "Ärzte")
        shutil.move(out, tmp_path / "Ärzte" / "results")
        batch = gated(tmp_path / "Ärzte", tmp_path / "Ärzte" / "results")
        assert batch.kept == set(SAMPLES)
        assert everything(tmp_path / "Ärzte" / "results") == everything(calm)

    def test_when_nothing_changed(self, folder, out):
        gated(folder, out)
        before = everything(out)
        batch = gated(folder, out)
        assert batch.kept == set(SAMPLES)
        assert batch.status == 0
        assert everything(out) == before


class TestAgreement:
    """The tables agree with each other, with the outcomes and with the record."""

    def test_measures_are_the_counts_of_the_populations(self, calm):
        counts = {
            (cells["sample"], cells["population"]): cells
            for cells in studies.rows_of(calm / "populations.csv")
        }
        rows = studies.rows_of(calm / "treg.csv")
        assert [(cells["sample"], cells["measure"]) for cells in rows] == [
            (sample, measure) for sample in SAMPLES for measure in ("Treg of CD4", "CD4 of CD3")]  # fmt: skip
        for cells in rows:
            count, _, of = cells["measure"].partition(" of ")
            numerator, denominator = (int(counts[cells["sample"], name]["count"]) for name in (count, of))
            assert (int(cells["numerator"]), int(cells["denominator"])) == (numerator, denominator)
            assert float(cells["percent"]) == pytest.approx(100 * numerator / denominator, abs=1e-6)
            assert (float(cells["ci_low"]), float(cells["ci_high"])) == pytest.approx(
                wilson(numerator, denominator), abs=1e-6
            )
        assert min(int(cells["numerator"]) for cells in rows) > 50

    def test_a_child_is_a_share_of_its_parent(self, calm):
        rows = {
            (cells["sample"], cells["population"]): cells
            for cells in studies.rows_of(calm / "populations.csv")
        }
        for (sample, name), cells in rows.items():
            if name != "root":
                parent = int(rows[sample, cells["parent"]]["count"])
                assert float(cells["percent_of_parent"]) == pytest.approx(
                    100 * int(cells["count"]) / parent, abs=1e-6
                )
                assert cells["path"].rpartition("/")[0] in {rows[sample, cells["parent"]]["path"], ""}

    def test_files_and_rows_and_outcomes_name_the_same_things(self, folder, calm):
        files = studies.by_sample(calm / "files.csv")
        template = {cells["template_sha256"] for cells in studies.rows_of(calm / "populations.csv")}
        assert list(files) == list(SAMPLES)
        assert template == {small().hash}
        for sample, cells in files.items():
            outcome = Folder(calm).outcome(sample)
            assert cells["sha256"] == outcome.file.sha256 == sha256(file_of(folder, sample))
            assert cells["verdict"] == outcome.verdict == "pass"
            rows = [one for one in studies.rows_of(calm / "populations.csv") if one["sample"] == sample]
            assert {one["file_sha256"] for one in rows} == {cells["sha256"]}
            assert [int(one["count"]) for one in rows] == [
                population["count"] for population in outcome.populations
            ]
            assert int(cells["events"]) == int(rows[0]["count"]) == 4_000

    def test_the_record_names_every_other_file_by_its_hash(self, calm):
        record = studies.record(calm)
        assert record["contents"] == {
            name: hashlib.sha256(content).hexdigest() for name, content in everything(calm).items()
        }
        assert record["template"]["sha256"] == small().hash
        assert {one["file"] for one in record["inputs"].values()} == {
            f"fcs/{sample}.fcs" for sample in SAMPLES
        }

    def test_plots_and_faults_are_in_the_record_too(self, folder, out):
        write_sheet(folder, [row(sample) for sample in SAMPLES[:2]])
        gated(folder, out, plots=True, work=partial(studies.stumbling, "S01_W12"))
        assert {"plots/S01_W00.png", "faults/S01_W12.txt"} < set(everything(out))
        assert set(studies.record(out)["contents"]) == set(everything(out))


class TestBadFiles:
    def test_a_corrupt_file_a_missing_marker_and_a_dying_worker_stop_nobody(self, folder, out, calm):
        more = [
            row("S03_W00", file="fcs/corrupt.fcs"),
            row("S03_W12", file="fcs/marker.fcs"),
            row("S03_W24", file="fcs/deadly.fcs"),
        ]
        studies.truncated(Path(shutil.copy(file_of(folder, "S01_W00"), folder / "fcs" / "corrupt.fcs")))
        rewritten(
            file_of(folder, "S01_W00"),
            folder / "fcs/marker.fcs",
            events=3_000,
            stains={DETECTORS["FOXP3"]: "CTLA4"},
        )
        rewritten(file_of(folder, "S01_W00"), folder / "fcs/deadly.fcs", events=2_000)
        write_sheet(folder, [*more, *map(row, SAMPLES)])
        batch = gated(folder, out, workers=2, work=partial(studies.dying, "S03_W24"))
        assert batch.status == 1
        found = codes(out)
        bad = [found[sample].removesuffix(" N-RETRIED") for sample in ("S03_W00", "S03_W12", "S03_W24")]
        assert bad == ["E-TRUNCATED", "E-MARKER", "E-WORKER"]
        assert {found[sample] for sample in SAMPLES} <= {"", "N-RETRIED"}
        rows = [cells for cells in studies.rows_of(out / "treg.csv") if cells["sample"] in SAMPLES]
        assert rows == studies.rows_of(calm / "treg.csv")
        refused = [cells for cells in studies.rows_of(out / "treg.csv") if cells["sample"] not in SAMPLES]
        assert [(cells["percent"], cells["verdict"]) for cells in refused] == [("", "fail")] * 6

    def test_one_file_under_two_names_is_refused_under_both(self, folder, out):
        shutil.copy(file_of(folder, "S01_W00"), folder / "fcs" / "again.fcs")
        rewritten(
            file_of(folder, "S01_W00"), folder / "fcs" / "renamed.fcs", keywords={"$FIL": "another name"}
        )
        more = [row("S09_W00", file="fcs/again.fcs"), row("S09_W12", file="fcs/renamed.fcs")]
        write_sheet(folder, [*map(row, SAMPLES), *more])
        assert gated(folder, out).status == 1
        sentences = {
            sample: cells["sentences"] for sample, cells in studies.by_sample(out / "files.csv").items()
        }
        told = ("E-TWICE holds the same events as {}; all but one are wrong copies: export them again, or take "
                "their rows out of the sheet")  # fmt: skip
        assert sentences["S01_W00"].endswith(told.format("S09_W00 (again.fcs) and S09_W12 (renamed.fcs)"))
        assert sentences["S09_W12"].endswith(told.format("S01_W00 (S01_W00.fcs) and S09_W00 (again.fcs)"))
        assert not sentences["S01_W12"]
        assert {
            cells["percent"] for cells in studies.rows_of(out / "treg.csv") if cells["subject"] == "S09"
        } == {""}
        write_sheet(folder, [row(sample) for sample in SAMPLES])
        batch = gated(folder, out)
        assert (batch.status, batch.strangers) == (0, ("S09_W00", "S09_W12"))

    def test_something_unforeseen_in_one_file_ends_with_3_and_the_others_are_done(self, folder, out):
        batch = gated(folder, out, work=partial(studies.stumbling, "S01_W12"))
        assert batch.status == 3
        assert codes(out)["S01_W12"] == "E-INTERNAL"
        assert studies.outcomes(out) == set(SAMPLES) - {"S01_W12"}
        assert (out / "faults" / "S01_W12.txt").read_text().endswith("builtins.ZeroDivisionError\n")

    def test_a_file_that_vanished_or_changed_leaves_its_outcome(self, folder, out, calm):
        gated(folder, out)
        file_of(folder, "S01_W00").unlink()
        rewritten(file_of(folder, "S01_W12"), file_of(folder, "S01_W12"), events=3_000)
        assert gated(folder, out).status == 1
        assert (codes(out)["S01_W00"], codes(out)["S01_W12"]) == ("E-MISSING", "E-CHANGED")
        before = everything(calm)
        assert {name: before[name] for name in before if "/" in name}.items() <= everything(out).items()
        batch = gated(folder, out, accept_changed=True)
        assert batch.again == {"S01_W12": ("the file changed",)}

    def test_controls_are_listed_and_have_no_number(self, folder, out):
        write_sheet(
            folder,
            [row("S01_W00"), row("S01_W12", tube="fmo:CD25"), row("S02_W00", tube="reference", subject="")],
        )
        assert gated(folder, out).status == 0
        states = {
            sample: (cells["state"], cells["verdict"])
            for sample, cells in studies.by_sample(out / "files.csv").items()
        }
        assert states == {
            "S01_W00": ("done", "pass"),
            "S01_W12_fmo-CD25": ("control", ""),
            "W00_reference": ("done", "pass"),
        }
        assert {cells["sample"] for cells in studies.rows_of(out / "treg.csv")} == {"S01_W00"}

    def test_a_run_that_the_sheet_leaves_out_is_guessed_and_said_to_be(self, folder, out):
        write_sheet(folder, [row("S01_W00", run=""), row("S01_W12")])
        assert gated(folder, out).status == 0
        cells = studies.by_sample(out / "files.csv")["S01_W00"]
        assert cells["codes"] == "N-RUN-GUESSED"
        assert cells["run"].endswith("SIM1")
        assert cells["sentences"] == f"N-RUN-GUESSED the run was taken from the file: {cells['run']}"


class TestTwice:
    """Two rows with the same events: neither is published, and both come back once the copy is mended."""

    TOLD = "E-TWICE holds the same events as {}; one of the two is a wrong copy: export it again, or take its row out of the sheet"

    @pytest.fixture
    def twice(self, folder) -> Path:
        shutil.copy(file_of(folder, "S01_W00"), folder / "fcs" / "copy.fcs")
        write_sheet(folder, [*map(row, SAMPLES), row("S03_W12", file="fcs/copy.fcs")])
        return folder

    def test_nothing_published_says_pass_of_it(self, twice, out):
        gated(twice, out, plots=True)
        cells = studies.by_sample(out / "files.csv")
        assert cells["S01_W00"]["sentences"] == self.TOLD.format("S03_W12 (copy.fcs)")
        *others, twice_over = cells["S03_W12"]["sentences"].split(" | ")
        assert twice_over == self.TOLD.format("S01_W00 (S01_W00.fcs)")
        assert [words.split()[0] for words in others] == ["F-IDENTITY", "F-DATE"]  # it is the wrong copy
        assert {page.stem for page in (out / "plots").iterdir()} == set(SAMPLES) - {"S01_W00"}
        record = studies.record(out)
        assert record["refused"] == {"S01_W00": "E-TWICE", "S03_W12": "E-TWICE F-IDENTITY F-DATE"}
        assert set(record["published"]) == set(SAMPLES) - {"S01_W00"}
        assert set(record["contents"]) == set(everything(out))

    def test_the_bytes_are_the_same_for_two_workers(self, twice, out, tmp_path):
        gated(twice, out, plots=True)
        gated(twice, tmp_path / "two", plots=True, workers=2)
        assert everything(tmp_path / "two") == everything(out)
        again = gated(twice, out, plots=True)
        assert again.again == {}
        assert everything(tmp_path / "two") == everything(out)

    def test_a_corrected_sheet_brings_the_page_back(self, twice, out, tmp_path):
        gated(twice, out, plots=True)
        write_sheet(twice, [*map(row, SAMPLES)])
        batch = gated(twice, out, plots=True)
        assert (batch.status, batch.again) == (0, {"S01_W00": ("the plot is missing",)})
        gated(twice, tmp_path / "calm", plots=True)
        assert (out / "plots" / "S01_W00.png").read_bytes() == (tmp_path / "calm" / "plots" / "S01_W00.png").read_bytes()  # fmt: skip

    def test_a_copy_that_is_replaced_needs_no_permission(self, twice, out):
        gated(twice, out)
        rewritten(file_of(twice, "S01_W00"), twice / "fcs" / "copy.fcs", events=3_000)
        batch = gated(twice, out)
        assert (batch.status, batch.again) == (0, {"S03_W12": ("the file changed",)})
        rewritten(file_of(twice, "S01_W00"), twice / "fcs" / "copy.fcs", events=2_000)
        gated(twice, out)
        assert codes(out)["S03_W12"] == "E-CHANGED"


class TestAcross:
    """What only shows when files are held against each other is said of both, and no outcome is changed by it."""

    @pytest.fixture
    def swapped(self, folder) -> Path:
        one, other = file_of(folder, "S01_W12"), file_of(folder, "S02_W12")
        one.rename(folder / "aside")
        other.rename(one)
        (folder / "aside").rename(other)
        return folder

    def test_swapped_files_are_flagged_wherever_somebody_may_look(self, swapped, out):
        batch = gated(swapped, out)
        assert batch.status == 1
        told = "F-IDENTITY $FIL names subject {}, where the sheet says {}; compare with {}_W12, files may have been swapped, or the sheet mistyped"
        cells = studies.by_sample(out / "files.csv")
        assert cells["S01_W12"]["sentences"] == told.format("S02", "S01", "S02")
        assert cells["S02_W12"]["sentences"] == told.format("S01", "S02", "S01")
        wrong = {"S01_W12", "S02_W12"}
        for one in studies.rows_of(out / "treg.csv"):
            verdict = ("review", "F-IDENTITY") if one["sample"] in wrong else ("pass", "")
            assert (one["verdict"], one["codes"]) == verdict
            assert one["percent"]

    def test_their_pages_say_what_the_tables_say(self, swapped, out):
        gated(swapped, out, plots=True)
        pages = {path.stem: path.read_bytes() for path in (out / "plots").glob("*.png")}
        assert {name for name, page in pages.items() if b"between files" in page} == {"S01_W12", "S02_W12"}
        gated(swapped, out, plots=True)
        assert {path.stem: path.read_bytes() for path in (out / "plots").glob("*.png")} == pages
        one, other = file_of(swapped, "S01_W12"), file_of(swapped, "S02_W12")
        one.rename(swapped / "aside")
        other.rename(one)
        (swapped / "aside").rename(other)
        gated(swapped, out, plots=True, accept_changed=True)
        assert not any(b"between files" in path.read_bytes() for path in (out / "plots").glob("*.png"))

    def test_a_page_of_a_file_that_is_gone_since_is_taken_away(self, swapped, out):
        gated(swapped, out, plots=True)
        job = next(one for one in request(swapped, out, plots=True).jobs() if one.tube.sample == "S01_W12")
        page = job.folder.plot_path("S01_W12")
        drawn = page.read_bytes()
        flags = (Finding("F-DATE", "made up"),)
        kept = draw_again(replace(job, between=flags))
        assert kept.kept
        assert page.read_bytes() != drawn
        job.path.write_bytes(b"something else")
        draw_again(replace(job, between=flags))
        assert not page.exists()

    def test_their_outcomes_are_their_own_files(self, swapped, out, tmp_path):
        gated(swapped, out)
        alone = tmp_path / "alone"
        write_sheet(swapped, [row("S01_W12")])
        gated(swapped, alone)
        name = "outcomes/S01_W12.json"
        assert (out / name).read_bytes() == (alone / name).read_bytes()
        assert b"F-IDENTITY" not in (out / name).read_bytes()

    def test_the_order_of_rows_and_the_number_of_workers_leave_no_trace(self, swapped, out, tmp_path):
        gated(swapped, out)
        write_sheet(swapped, [row(sample) for sample in reversed(SAMPLES)])
        gated(swapped, tmp_path / "two", workers=2)
        assert everything(tmp_path / "two") == everything(out)

    def test_kept_outcomes_are_held_against_each_other_again(self, swapped, out):
        gated(swapped, out)
        before = everything(out)
        batch = gated(swapped, out)
        assert (batch.kept, batch.status, batch.again) == (set(SAMPLES), 1, {})
        assert everything(out) == before

    def test_swapped_back_they_pass(self, swapped, out, calm):
        gated(swapped, out)
        for sample, other in (("S01_W12", "aside"), ("S02_W12", "S01_W12"), ("aside", "S02_W12")):
            file_of(swapped, sample).rename(file_of(swapped, other))
        assert gated(swapped, out, accept_changed=True).status == 0
        assert everything(out) == everything(calm)

    def test_another_voltage_cytometer_detector_and_date_are_flagged_at_both_visits(self, folder, out):
        sample = read_fcs(file_of(folder, "S01_W12"))
        technical = {
            key: value
            for key, value in sample.keywords.items()
            if key in {"$DATE", "$CYT"} or key.endswith("V")
        }
        place = sample.names.index(DETECTORS["CD4"]) + 1
        rewritten(file_of(folder, "S01_W12"), file_of(folder, "S01_W12"), keywords={**technical, "$CYTSN": "SIM2", f"$P{place}V": "999"},
                  stains={DETECTORS["CD25"]: "CD127", DETECTORS["CD127"]: "CD25"})  # fmt: skip
        write_sheet(folder, [row(one, collected="2026-02-01" if one == "S02_W12" else "") for one in SAMPLES])
        assert gated(folder, out).status == 1
        both = "F-CYTOMETER F-DETECTOR F-VOLTAGE"
        assert codes(out) == {"S01_W00": both, "S01_W12": both, "S02_W00": "", "S02_W12": "F-DATE"}
        sentences = studies.by_sample(out / "files.csv")["S01_W00"]["sentences"]
        volts = sample.keywords[f"$P{place}V"]
        assert f"(CD4 on {DETECTORS['CD4']} 999 V, here {volts} V)" in sentences
        assert '(serial number "SIM2", here "SIM1")' in sentences
        assert f"(CD25 on {DETECTORS['CD127']}, here on {DETECTORS['CD25']})" in sentences

    def test_a_control_at_another_voltage_flags_the_full_tube_of_its_run(self, folder, out):
        keywords = {f"$P{number}V": "777" for number in range(1, 12)}
        rewritten(
            file_of(folder, "S02_W12"),
            file_of(folder, "S02_W12"),
            keywords=keywords,
            stains={DETECTORS["CD25"]: ""},
        )
        write_sheet(
            folder,
            [row("S01_W00"), row("S01_W12"), row("S02_W12", tube="fmo:CD25", subject="S01", sample="C")],
        )
        assert gated(folder, out).status == 1
        assert codes(out) == {"S01_W00": "", "S01_W12": "F-VOLTAGE", "C": "N-CONTROL"}
        assert "in controls of its run, C (" in studies.by_sample(out / "files.csv")["S01_W12"]["sentences"]

    def test_a_file_that_is_gone_when_names_are_read_is_gated_all_the_same(self, swapped, out):
        def vanish(ended: object) -> None:
            file_of(swapped, "S01_W12").unlink(missing_ok=True)

        request_ = request(swapped, out)
        gated(swapped, out)
        batch = gate_batch(request_, vanish)
        assert {tube.sample: outcome.state for tube, outcome in batch.pairs}["S01_W00"] == "done"
        assert "F-IDENTITY" in codes(out)["S02_W12"]

    def test_the_hash_of_the_events_is_the_same_for_a_copy_that_is_packed_and_renamed(self, folder, out):
        plain = file_of(folder, "S01_W00").read_bytes()
        (folder / "fcs" / "packed.fcs.gz").write_bytes(gzip.compress(plain))
        write_sheet(folder, [row("S01_W00"), row("S01_W12"), row("S01_W24", file="fcs/packed.fcs.gz")])
        gated(folder, out)
        cells = studies.by_sample(out / "files.csv")
        assert cells["S01_W00"]["data_sha256"] == cells["S01_W24"]["data_sha256"]
        assert cells["S01_W00"]["sha256"] != cells["S01_W24"]["sha256"]
        assert "E-TWICE" in cells["S01_W00"]["codes"]
        assert cells["S01_W12"]["codes"] == ""

    def test_empty_files_are_nobodys_twins(self, folder, out):
        for sample in SAMPLES[:2]:
            rewritten(file_of(folder, sample), file_of(folder, sample), events=0)
        gated(folder, out)
        assert [codes(out)[sample] for sample in SAMPLES[:2]] == ["E-EMPTY-FILE", "E-EMPTY-FILE"]


class TestRefusedAfterItPassed:
    def test_its_page_goes_and_its_number_stays_protected(self, folder, out):
        gated(folder, out, plots=True)
        rewritten(file_of(folder, "S01_W12"), file_of(folder, "S01_W12"), events=3_000)
        file_of(folder, "S01_W00").rename(folder / "away.fcs")
        for _ in range(2):
            gated(folder, out, plots=True)
            assert (codes(out)["S01_W00"], codes(out)["S01_W12"]) == ("E-MISSING", "E-CHANGED")
            assert {page.stem for page in (out / "plots").iterdir()} == {"S02_W00", "S02_W12"}
        (folder / "away.fcs").rename(file_of(folder, "S01_W00"))
        batch = gated(folder, out, plots=True, accept_changed=True)
        assert batch.again == {"S01_W00": ("the plot is missing",), "S01_W12": ("the file changed",)}
        assert {page.stem for page in (out / "plots").iterdir()} == set(SAMPLES)

    def test_a_sheet_that_leaves_a_row_out_leaves_it_protected(self, folder, out):
        gated(folder, out)
        write_sheet(folder, [row(sample) for sample in SAMPLES[1:]])
        gated(folder, out)
        assert set(studies.record(out)["published"]) == set(SAMPLES)


class TestSheet:
    def test_the_record_names_the_sheet_by_its_hash(self, folder, out):
        gated(folder, out, sheet=folder / "samples.csv")
        assert studies.record(out)["sheet"] == {
            "name": "samples.csv",
            "sha256": sha256(folder / "samples.csv"),
        }

    def test_and_none_where_files_were_named(self, calm):
        assert studies.record(calm)["sheet"] is None


class TestWriting:
    def test_a_folder_that_another_run_holds(self, folder, out):
        with Folder(out).held(), pytest.raises(BusyError):
            gated(folder, out)
        assert gated(folder, out).status == 0

    def test_without_room_for_the_tables_none_is_published_and_outcomes_stay(
        self, folder, out, monkeypatch, calm
    ):
        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)  # here, not in the workers
        with pytest.raises(OutputError, match=r"E-WRITE .*treg.csv  no space left on device; make room"):
            gated(folder, out)
        assert studies.outcomes(out) == set(SAMPLES)
        assert set(everything(out)) == {f"outcomes/{sample}.json" for sample in SAMPLES}
        monkeypatch.undo()
        assert gated(folder, out).kept == set(SAMPLES)
        assert everything(out) == everything(calm)

    @pytest.fixture
    def disk(self, tmp_path) -> Iterator[Path]:
        """Return a disk of 12 kB."""
        path = tmp_path / "disk"
        path.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=12k", "none", path], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
        yield path
        subprocess.run(["umount", path], check=True)

    def test_a_full_disk_keeps_what_was_done_and_the_next_run_does_the_rest(self, folder, disk, calm):
        out = disk / "out"
        with pytest.raises(OutputError, match=r"E-WRITE .*no space left on device; make room") as caught:
            gated(folder, out)
        assert caught.value.status == 4
        kept = studies.outcomes(out)
        assert 1 <= len(kept) < 4
        assert set(everything(out)) == {f"outcomes/{sample}.json" for sample in kept}
        assert all(Folder(out).outcome(sample) for sample in kept)
        subprocess.run(["mount", "-o", "remount,size=1m", disk], check=True)
        assert gated(folder, out).kept == kept
        assert everything(out) == everything(calm)

    def test_a_watcher_that_fails_ends_the_workers_and_keeps_what_is_done(self, folder, out):
        def interrupt(_: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            gate_batch(request(folder, out), interrupt)
        assert studies.outcomes(out)
        assert not (out / "run.json").exists()
        with Folder(out).held():
            pass


class TestPlan:
    def test_it_says_why_and_writes_nothing(self, folder, out):
        plans = {tube.sample: ended for tube, ended in plan_batch(request(folder, out))}
        assert {ended.why for ended in plans.values()} == {("no outcome yet",)}
        assert not out.exists()
        gated(folder, out)
        before = everything(out)
        other = small(TEMPLATE.replace("low: [0.5, 0.4]", "low: [0.5, 0.3]"))
        file_of(folder, "S02_W12").unlink()
        plans = {tube.sample: ended for tube, ended in plan_batch(request(folder, out, template=other))}
        assert plans["S01_W00"].why == ("the template's gate Treg changed",)
        assert plans["S02_W12"].outcome.findings[0].code == "E-MISSING"
        assert everything(out) == before

    def test_300_rows(self, folder, out):
        write_sheet(folder, [row("S01_W00", subject=str(number)) for number in range(300)])
        assert len(plan_batch(request(folder, out))) == 300


class TestByVisit:
    """How many tubes of each visit do not pass: a rule that flags one visit more often would take part in the trial."""

    def batch(self, *told):
        return Batch(tuple((Tube(f"s{n}", "f", visit=visit, tube=tube), Outcome(f"s{n}", "done", {}, Evidence("f"), measures=({"verdict": verdict},)))
                     for n, (visit, tube, verdict) in enumerate(told)))  # fmt: skip

    def test_full_tubes_are_counted_where_they_do_not_pass(self):
        told = [
            ("W00", "full", "pass"),
            ("W00", "full", "review"),
            ("W12", "full", "fail"),
            ("W12", "reference", "review"),
        ]
        assert self.batch(*told).by_visit == {"W00": (1, 2), "W12": (1, 1)}
