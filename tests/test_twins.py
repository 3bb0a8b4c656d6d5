"""Events are known by their hash, whatever is written around them, and rows that share one are told of each other."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest
import studies
from fcs_bytes import fcs_bytes, parameter, parameters
from hypothesis import given
from hypothesis import strategies as st

from tregflow.io.fcs import read_fcs
from tregflow.twins import NAMED, data_sha256, twins

ROWS = [[1, 2, 3], [40, 50, 60], [70, 800, 900]]


def hashed(folder: Path, content: bytes, name: str = "a.fcs") -> str:
    (folder / name).write_bytes(content)
    return data_sha256(read_fcs(folder / name))


def by_hand(content: bytes) -> str:
    """Return the SHA-256 of DATA as HEADER says where it is."""
    begin, end = int(content[26:34]), int(content[34:42])
    return hashlib.sha256(content[begin : end + 1]).hexdigest()


class TestHash:
    @pytest.mark.parametrize(
        "content",
        [
            fcs_bytes(ROWS, parameters(3)),
            fcs_bytes(ROWS, parameters(3), order="big"),
            fcs_bytes(ROWS, parameters(3, 16, 1024), datatype="I"),
            fcs_bytes(ROWS, [parameter("A", 8), parameter("B", 24), parameter("C", 32)], datatype="I"),
        ],
        ids=["floats", "big-endian", "integers", "mixed widths"],
    )
    def test_it_is_that_of_the_bytes_of_data(self, tmp_path, content):
        assert hashed(tmp_path, content) == by_hand(content)

    def test_name_keywords_delimiter_version_and_packing_leave_no_trace(self, tmp_path):
        plain = fcs_bytes(ROWS, parameters(3))
        others = [
            fcs_bytes(ROWS, parameters(3), keywords={"$FIL": "another", "$OP": "somebody"}),
            fcs_bytes(ROWS, parameters(3), delimiter="|", version="FCS3.0", behind=b"12345678" * 9),
            gzip.compress(plain, mtime=0),
        ]
        assert (
            len({hashed(tmp_path, content, f"{place}.fcs") for place, content in enumerate([plain, *others])})
            == 1
        )

    def test_one_bit_leaves_one_even_above_the_range(self, tmp_path):
        plain = fcs_bytes(ROWS, parameters(3, 16, 1024), datatype="I")
        begin = int(plain[26:34])
        changed = bytearray(plain)
        changed[begin + 1] |= 0x80
        assert hashed(tmp_path, plain) != hashed(tmp_path, bytes(changed))

    def test_no_events_have_the_hash_of_nothing(self, tmp_path):
        assert hashed(tmp_path, fcs_bytes([], parameters(3))) == hashlib.sha256(b"").hexdigest()

    def test_a_study_has_as_many_as_files(self, tmp_path):
        folder = studies.study(tmp_path)
        assert len({data_sha256(read_fcs(path)) for path in (folder / "fcs").iterdir()}) == len(
            studies.SAMPLES
        )


class TestTwins:
    def test_two_are_told_of_each_other_and_a_third_of_nobody(self):
        found = twins({"A": "x", "B": "y", "C": "x"}, {"A": "a.fcs", "B": "b.fcs", "C": "c.fcs"})
        assert {name: one.sentence for name, one in found.items()} == {
            "A": "holds the same events as C (c.fcs); one of the two is a wrong copy: export it again, or take its row out "
            "of the sheet",
            "C": "holds the same events as A (a.fcs); one of the two is a wrong copy: export it again, or take its row out "
            "of the sheet",
        }
        assert {one.code for one in found.values()} == {"E-TWICE"}

    def test_of_300_copies_few_are_named(self):
        names = [f"S{number}" for number in range(300)]
        found = twins(dict.fromkeys(names, "same"), dict.fromkeys(names, "S01_W00.fcs"))
        assert set(found) == set(names)
        assert found["S7"].sentence == (
            "holds the same events as S0 (S01_W00.fcs) and S1 (S01_W00.fcs) and S10 (S01_W00.fcs) and 296 more; "
            "all but one are wrong copies: export them again, or take their rows out of the sheet"
        )

    @given(
        st.dictionaries(st.text("ABCDEF", min_size=1, max_size=2), st.sampled_from("xyz")),
        st.randoms(use_true_random=False),
    )
    def test_who_shares_a_hash_is_told_in_whatever_order(self, hashes, chance):
        files = {name: f"{name}.fcs" for name in hashes}
        turned = dict(chance.sample(sorted(hashes.items()), len(hashes)))
        found = twins(turned, files)
        assert found == twins(hashes, files)
        assert set(found) == {
            name for name, digest in hashes.items() if list(hashes.values()).count(digest) > 1
        }
        for name, one in found.items():
            others = [other for other in sorted(hashes) if other != name and hashes[other] == hashes[name]]
            assert all(f"{other} ({other}.fcs)" in one.sentence for other in others[:NAMED])
