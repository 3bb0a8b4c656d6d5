"""A marker is bound by a whole name to one detector, or the file is refused in words."""

from __future__ import annotations

import pytest
from builders import named
from hypothesis import given
from hypothesis import strategies as st

from tregflow.binding import Marker, folded, match
from tregflow.errors import FileError

CD4, CD25 = Marker("CD4"), Marker("CD25", ("IL2RA", "IL-2Ra"))


def bound(markers, names, stains=(), *, sheet=None, compensating=False):
    file = named(names, stains)
    channels, findings = match(markers, file, sheet or {}, compensating=compensating)
    return {marker: names[place] for marker, place in channels.items()}, [
        finding.code for finding in findings
    ]


def refused(*args, **kwargs) -> str:
    with pytest.raises(FileError) as error:
        bound(*args, **kwargs)
    assert {finding.code for finding in error.value.findings} == {"E-MARKER"}
    return str(error.value)


@pytest.mark.parametrize(
    "stain", ["CD4", "cd4", " CD 4 ", "CD-4", "Comp-CD4", "FJComp-CD4", "<CD4>", "fjcomp-cd4"]
)
def test_case_blanks_hyphens_and_prefixes_do_not_count(stain):
    assert bound([CD4], ["FL1-A"], [stain]) == ({"CD4": "FL1-A"}, [])


@pytest.mark.parametrize(
    "name", ["CD4", "CD4-A", "Comp-CD4-A", "FJComp-CD4-A", "<CD4-A>", "<cd4-a>", "cd4-h"]
)
def test_a_detector_may_carry_the_markers_name(name):
    assert bound([CD4], ["FSC-A", name]) == ({"CD4": name}, [])


@pytest.mark.parametrize("stain", ["IL2RA", "il-2ra", "CD25"])
def test_aliases_widen_a_marker(stain):
    assert bound([CD25], ["FL1-A"], [stain]) == ({"CD25": "FL1-A"}, [])


def test_the_stain_goes_before_the_detector():
    assert bound([CD4], ["CD4-A", "FL2-A"], ["CD8", "CD4"]) == ({"CD4": "FL2-A"}, [])


@pytest.mark.parametrize("stain", ["CD45", "CD45RA", "CD4-CD8", "CD40L", "xCD4", "CD4_FITC", "CD4.FITC"])
def test_nothing_is_matched_by_a_part_of_a_name(stain):
    said = refused([CD4], ["FSC-A", "FL1-A"], ["", stain])
    assert said.startswith(f"E-MARKER  no channel for CD4; this file has FSC-A, FL1-A ({stain})")
    assert said.endswith(
        ". Add the file's word to the marker's aliases in the template, or write the detector ($PnN) into a sheet "
        "column channel:CD4"
    )


@pytest.mark.parametrize(
    ("marker", "stain", "is_like"),
    [
        ("CD4", "CD4_FITC", True), ("CD4", "CD4.FITC", True), ("FOXP3", "FoxP3-AF647", True), ("FOXP3", "FOX3", True),
        ("FOXP3", "FOXPE3", True), ("LD", "L/D", True), ("HLA-DR", "HLA_DR", True), ("HLADR", "HLADQ", False),
        ("CD4", "CD45", False), ("CD25", "CD27", False), ("CD127", "CD27", False), ("CD4", "CD45RA", False),
    ],
)  # fmt: skip
def test_a_name_that_may_be_meant_is_offered(marker, stain, is_like):
    said = refused([Marker(marker)], ["FSC-A", "FL1-A"], ["", stain])
    assert (f"; {marker} may be FL1-A ({stain}). Add" in said) == is_like


def test_what_is_missing_is_one_sentence_and_the_channels_are_listed_once():
    markers = [CD4, CD25, Marker("CD127"), Marker("FOXP3")]
    said = refused(markers, ["FL1-A", "FL2-A", "FL3-A"], ["CD4", "CD4", "CD8"])
    first, second = said.splitlines()
    assert first.startswith("E-MARKER  no channel for CD25, CD127 and FOXP3; this file has FL1-A (CD4), ")
    assert first.endswith("into a sheet column channel:CD25")
    assert "FL1-A (CD4) and FL2-A (CD4) both claim CD4" in second


def test_a_long_list_of_channels_is_cut():
    said = refused([CD4], [f"V{n}-A" for n in range(1, 65)])
    assert "V39-A, V40-A, … and 24 more. Add" in said


def test_the_ending_of_a_detector_is_not_the_end_of_a_marker():
    assert refused([Marker("CD45RA")], ["CD45R-A"])
    assert bound([Marker("CD45RA")], ["CD45RA-A"]) == ({"CD45RA": "CD45RA-A"}, [])


@pytest.mark.parametrize(
    "stain",
    ["BV785 - CD4", "CD4 BV785", "CD4:BV785", "CD4/BV785", "anti human cd4", "BV785 -  CD4 - clone SK3"],
)
def test_a_whole_word_of_a_longer_stain_binds_and_is_noted(stain):
    assert bound([CD4], ["FL1-A"], [stain]) == ({"CD4": "FL1-A"}, ["N-TOKEN"])


@pytest.mark.parametrize(
    "stain", ["L/D Aqua - Viability", "Viability - l/d aqua", "BV510 - L/D Aqua - Viability"]
)
def test_an_alias_of_several_words_binds_what_stands_between_hyphens(stain):
    assert bound([Marker("LD", ("L/D Aqua",))], ["FL1-A"], [stain]) == ({"LD": "FL1-A"}, ["N-TOKEN"])


@pytest.mark.parametrize("stain", ["L/D Aqua Viability", "L/D Aqua 2 - Viability", "L/D Aqua- Viability"])
def test_but_no_part_of_it(stain):
    assert refused([Marker("LD", ("L/D Aqua",))], ["FL1-A"], [stain])


def test_a_full_name_goes_before_a_word():
    assert bound([CD4], ["FL1-A", "FL2-A"], ["CD4 BV785", "CD4"]) == ({"CD4": "FL2-A"}, [])


def test_two_that_claim_a_marker_are_both_named():
    said = refused([CD4], ["FL1-A", "FL2-A"], ["CD4", "cd4"])
    assert "FL1-A (CD4) and FL2-A (cd4) both claim CD4; name one in the sheet as channel:CD4" in said


def test_two_words_that_claim_a_marker_are_both_named():
    assert "both claim CD4" in refused([CD4], ["FL1-A", "FL2-A"], ["CD4 BV785", "CD4 FITC"])


def test_three_that_claim_a_marker():
    assert "all claim CD4" in refused([CD4], ["FL1-A", "FL2-A", "FL3-A"], ["CD4"] * 3)


def test_every_mistake_of_a_file_is_said_at_once():
    said = refused([CD4, CD25], ["FL1-A", "FL2-A"], ["CD8", "CD8"])
    assert "no channel for CD4 and CD25; " in said


# ------------------------------------------------------------------------------- area, height, width


def test_of_area_height_and_width_the_area_is_meant():
    assert bound([CD4], ["FL1-H", "FL1-A", "FL1-W"], ["CD4"] * 3) == ({"CD4": "FL1-A"}, [])
    assert bound([Marker("FSC")], ["FSC-H", "FSC-A", "FSC-W"]) == ({"FSC": "FSC-A"}, [])


def test_unless_the_marker_names_another():
    markers = [Marker("FSC-A"), Marker("FSC-H"), Marker("fsc-w")]
    assert bound(markers, ["FSC-A", "FSC-H", "FSC-W"])[0] == {
        "FSC-A": "FSC-A",
        "FSC-H": "FSC-H",
        "fsc-w": "FSC-W",
    }


def test_without_an_area_there_is_no_choice():
    assert "FL1-H (CD4) and FL1-W (CD4) both claim" in refused([CD4], ["FL1-H", "FL1-W"], ["CD4", "CD4"])


def test_areas_of_two_detectors_are_no_pair():
    assert "both claim" in refused([CD4], ["FL1-A", "FL2-H"], ["CD4", "CD4"])


# ------------------------------------------------------------------------------------------- twins

TWINS = ["FITC-A", "Comp-FITC-A"]


@pytest.mark.parametrize(("compensating", "taken"), [(True, "FITC-A"), (False, "Comp-FITC-A")])
def test_of_raw_and_compensated_twins_the_setting_decides(compensating, taken):
    assert bound([CD4], TWINS, ["CD4", "CD4"], compensating=compensating) == ({"CD4": taken}, ["N-TWIN"])


@pytest.mark.parametrize(("compensating", "taken"), [(True, "FITC-A"), (False, "Comp-FITC-A")])
def test_twins_beside_a_height(compensating, taken):
    names = ["FITC-A", "FITC-H", "Comp-FITC-A"]
    assert bound([CD4], names, ["CD4"] * 3, compensating=compensating) == ({"CD4": taken}, ["N-TWIN"])


def test_twins_by_angle_brackets():
    assert bound([CD4], ["FITC-A", "<FITC-A>"], ["CD4", "CD4"])[0] == {"CD4": "<FITC-A>"}


def test_raw_and_compensated_of_two_detectors_are_no_twins():
    said = refused([CD4], ["FITC-A", "Comp-PE-A"], ["CD4", "CD4"])
    assert "FITC-A (CD4) and Comp-PE-A (CD4) both claim CD4" in said


# ------------------------------------------------------------------------------------------- sheet


def test_the_sheet_decides_between_two():
    assert bound([CD4], ["FL1-A", "FL2-A"], ["CD4", "CD4"], sheet={"CD4": "FL2-A"}) == ({"CD4": "FL2-A"}, [])


def test_the_sheet_names_a_detector_without_a_stain():
    assert bound([CD4], ["FL1-A"], sheet={"CD4": " FL1-A "}) == ({"CD4": "FL1-A"}, [])


@pytest.mark.parametrize("stain", ["CD4 FITC", "cd4"])
def test_a_stain_that_agrees_with_the_sheet(stain):
    assert bound([CD4], ["FL1-A"], [stain], sheet={"CD4": "FL1-A"})[1] == []


def test_a_stain_that_contradicts_the_sheet_is_flagged():
    assert bound([CD4], ["FL1-A"], ["CD8"], sheet={"CD4": "FL1-A"}) == ({"CD4": "FL1-A"}, ["F-STAIN"])


def test_a_detector_stained_for_another_marker_of_the_template_is_refused():
    for stain in ("CD8", "BV605 - CD8"):
        said = refused(
            [CD4, Marker("CD8")], ["FL1-A", "FL2-A"], [stain, "CD8 X"], sheet={"CD4": "FL1-A", "CD8": "FL2-A"}
        )
        assert f'the sheet binds CD4 to FL1-A, which the file says is stained with "{stain}"' in said
        assert "that is CD8 in the template" in said


@pytest.mark.parametrize("word", ["FL1", "fl1-a", "FL3-A"])
def test_the_sheet_must_name_a_detector_exactly(word):
    said = refused([CD4], ["FL1-A", "FL2-A"], ["CD4"], sheet={"CD4": word})
    assert (
        f'the sheet says channel:CD4 is "{word}", which is no channel of this file; this file has FL1-A (CD4), FL2-A'
        in said
    )
    assert 'did you mean "FL' in said


def test_a_name_that_two_channels_have_cannot_be_named():
    assert "is the name of two channels of this file" in refused(
        [CD4], ["FL1-A", "FL1-A"], sheet={"CD4": "FL1-A"}
    )


def test_a_name_that_two_channels_have_cannot_be_bound():
    assert "CD4 and CD4 both claim CD4" in refused([CD4], ["CD4", "CD4"])


# ---------------------------------------------------------------------------------------- optional


def test_an_optional_marker_may_be_absent():
    assert bound([CD4, Marker("LD", optional=True)], ["FL1-A"], ["CD4"]) == ({"CD4": "FL1-A"}, [])


def test_an_optional_marker_may_not_be_ambiguous():
    assert "both claim LD" in refused([Marker("LD", optional=True)], ["FL1-A", "FL2-A"], ["LD", "LD"])


def test_two_markers_cannot_share_a_detector():
    said = refused([CD4, Marker("Helper", ("CD4",))], ["FL1-A"], ["CD4"])
    assert "CD4 and Helper are both bound to FL1-A" in said


def test_an_empty_stain_means_nothing():
    assert refused([CD4], ["FL1-A", "FL2-A"], ["", " - "])


@given(st.text(max_size=12))
def test_folding_twice_is_folding_once_for_plain_names(name):
    once = folded(name)
    if not once.startswith(("comp", "fjcomp", "<")):
        assert folded(once) == once


@given(st.text("CD4568RA -", min_size=1, max_size=8), st.text("CD4568RA -", min_size=1, max_size=8))
def test_a_stain_binds_only_what_it_says_as_a_whole(name, stain):
    """Whatever binds is the whole stain, or one of its words."""
    if not folded(name):
        return
    try:
        channels, _ = match([Marker(name, optional=True)], named(["FL1"], [stain]), {}, compensating=False)
    except FileError:
        return
    if channels:
        assert folded(name) in {folded(stain), *map(folded, stain.split()), *map(folded, stain.split(" - "))}
