"""Scales: published values, FlowUtils, inverses, and parameters that have no meaning."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from flowutils import transforms as flowutils
from hypothesis import given
from hypothesis import strategies as st

from tregflow.transforms import TRANSFORMS, Arcsinh, Identity, Linear, Log, Logicle, _curve

PUBLISHED_AT = [-2000.0, -100.0, -10.0, 0.0, 1.0, 100.0, 1000.0, 10000.0, 262144.0, 300000.0]
PUBLISHED = {
    Logicle(262144, 0.5, 4.5, 0): [-0.302823427055, 0.009041134692, 0.099917946545, 0.111111111111, 0.112231532149,
                                   0.213181087530, 0.454337576172, 0.683832657227, 1, 1.013023068132],
    Logicle(262144, 1, 4.5, 0): [-0.049492708968, 0.199648970514, 0.219959778247, 0.222222222222, 0.222448471564,
                                 0.244795473931, 0.406311205957, 0.676220818219, 1, 1.013069298602],
    Logicle(10000, 0.5, 4.5, 0.5): [-0.460066259764, -0.196923029337, 0.020553770370, 0.2, 0.226251513940,
                                    0.596923029337, 0.799690070741, 1, 1.283742525232, 1.295458967323],
}  # fmt: skip
"""FlowUtils 1.2.2, twelve digits."""

LOGICLES = [Logicle(262144, 0.5, 4.5, 0), Logicle(262144, 1, 4.5, 0), Logicle(262144, 2.25, 4.5, 0),
            Logicle(262144, 0, 4.5, 0), Logicle(10000, 0.5, 4.5, 0.5), Logicle(4e6, 1.2, 6.5, 0),
            Logicle(1024, 0.3, 3, 0), Logicle(262144, 0.5, 4.5, -0.3)]  # fmt: skip
SCALES = [
    *LOGICLES,
    Arcsinh(262144, 4.5),
    Arcsinh(10000, 4, 1),
    Linear(262144, 1000),
    Log(262144, 4.5),
    Identity(),
]

rng = np.random.default_rng(8)
MIDDLE = np.concatenate([rng.uniform(-4e7, 4e7, 20_000), rng.normal(0, 300, 20_000),
                         np.sign(rng.normal(size=20_000)) * 10 ** rng.uniform(-6, 7.6, 20_000)])  # fmt: skip


@pytest.mark.parametrize("scale", PUBLISHED, ids=str)
def test_logicle_gives_the_published_values(scale: Logicle) -> None:
    np.testing.assert_allclose(scale(np.array(PUBLISHED_AT)), PUBLISHED[scale], rtol=0, atol=1e-11)


def test_arcsinh_log_and_linear_give_the_published_values() -> None:
    arcsinh = [
        -0.529443896,
        -0.240980939,
        -0.055158273,
        0,
        0.005817534,
        0.240980939,
        0.462553315,
        0.684768972,
        1,
        1.013018074,
    ]
    np.testing.assert_allclose(Arcsinh(262144, 4.5)(np.array(PUBLISHED_AT)), arcsinh, rtol=0, atol=5e-10)
    logs = Log(262144, 4.5)(np.array([1.0, 100.0, 1e4]))
    np.testing.assert_allclose(logs, [-0.20411998, 0.24032446, 0.68476891], rtol=0, atol=5e-9)
    linear = Linear(262144, 1000)(np.array([-100.0, 1e4]))
    np.testing.assert_allclose(linear, [0.00342018, 0.04180221], rtol=0, atol=5e-9)


def test_logicle_has_the_published_constants() -> None:
    curve = _curve(262144, 0.5, 4.5, 0)
    found = [curve.a, curve.b, curve.c, curve.d, curve.f, curve.x1]
    wanted = [
        8.28629227367306,
        10.361632918473207,
        226.76509702763542,
        4.530271309267249,
        -110.87459125896834,
        1 / 9,
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("scale", LOGICLES, ids=str)
def test_logicle_is_flowutils_over_the_whole_range(scale: Logicle) -> None:
    theirs = flowutils.logicle(MIDDLE, None, t=scale.T, w=scale.W, m=scale.M, a=scale.A)
    np.testing.assert_allclose(scale(MIDDLE), theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", LOGICLES, ids=str)
def test_logicle_is_flowutils_beyond_its_table(scale: Logicle) -> None:
    far = np.concatenate(
        [scale.T * 10 ** np.linspace(1, 8, 2_000), -scale.T * 10 ** np.linspace(1, 8, 2_000)]
    )
    theirs = flowutils.logicle(far, None, t=scale.T, w=scale.W, m=scale.M, a=scale.A)
    np.testing.assert_allclose(scale(far), theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", LOGICLES, ids=str)
def test_logicle_inverse_is_flowutils(scale: Logicle) -> None:
    axis = np.linspace(-0.6, 1.4, 5_001)
    theirs = flowutils.logicle_inverse(axis, None, t=scale.T, w=scale.W, m=scale.M, a=scale.A)
    np.testing.assert_allclose(scale.inverse(axis), theirs, rtol=1e-10, atol=1e-9 * scale.T / 262144)


@pytest.mark.parametrize("scale", [Arcsinh(262144, 4.5), Arcsinh(10000, 4, 1), Arcsinh(5, 0.5, 0.5)], ids=str)
def test_arcsinh_is_flowutils(scale: Arcsinh) -> None:
    theirs = flowutils.asinh(MIDDLE, None, t=scale.T, m=scale.M, a=scale.A)
    np.testing.assert_allclose(scale(MIDDLE), theirs, rtol=0, atol=1e-12)


def test_log_is_flowutils_above_zero_and_nothing_below() -> None:
    scale = Log(10000, 5)
    above = MIDDLE[MIDDLE > 0]
    np.testing.assert_allclose(scale(above), flowutils.log(above, None, t=10000, m=5), rtol=0, atol=1e-12)
    assert np.isnan(scale(np.array([0.0, -1.0, -np.inf]))).all()


def test_linear_is_the_standard_formula_to_the_bit() -> None:
    np.testing.assert_array_equal(Linear(10000, 500)(MIDDLE), (MIDDLE + 500) / (10000 + 500))


@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_there_and_back(scale: Any) -> None:
    x = np.abs(MIDDLE) if scale.positive else MIDDLE
    size = getattr(scale, "T", 262144.0)
    np.testing.assert_allclose(scale.inverse(scale(x)), x, rtol=1e-10, atol=1e-12 * size)


@pytest.mark.parametrize("scale", SCALES, ids=str)
@given(pair=st.tuples(st.floats(-1e7, 1e7), st.floats(-1e7, 1e7)).map(sorted))
def test_more_is_never_further_down(scale: Any, pair: list[float]) -> None:
    low, high = scale(np.array(pair))
    assert high >= low - 4e-15 * max(1.0, abs(low)) or np.isnan([low, high]).any()


@pytest.mark.parametrize("scale", LOGICLES, ids=str)
@given(x=st.floats(0, 1e8))
def test_logicle_is_odd_about_zero(scale: Logicle, x: float) -> None:
    up, down = scale(np.array([x, -x])) - scale.zero
    assert up == pytest.approx(-down, abs=1e-15)


@pytest.mark.parametrize(
    "scale", [*LOGICLES, Arcsinh(262144, 4.5), Arcsinh(10000, 4, 1), Log(262144, 4.5)], ids=str
)
def test_a_decade_has_the_length_that_is_said(scale: Any) -> None:
    one, ten = scale(scale.T * np.array([1e6, 1e7]))
    assert ten - one == pytest.approx(scale.decade, rel=1e-6)


@pytest.mark.parametrize("scale", [scale for scale in SCALES if scale != Identity()], ids=str)
def test_t_lands_at_one(scale: Any) -> None:
    assert scale(np.array([scale.T]))[0] == pytest.approx(1, abs=1e-14)


def test_the_axis_of_the_files_own_units_is_the_values() -> None:
    assert Identity()(MIDDLE) is MIDDLE
    assert math.isnan(Identity().decade)


@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_input_is_left_alone_and_any_shape_is_kept(scale: Any) -> None:
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert scale(x[:, 0]).shape == (2,)
    assert scale(np.empty(0)).shape == (0,)
    np.testing.assert_array_equal(x, [[1, 2], [3, 4]])


@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_an_edge_far_off_the_axis_is_open_and_does_not_warn(scale: Any) -> None:
    low, high = scale.inverse(np.array([-1000.0, 1000.0]))
    assert low <= -1000 or scale.positive
    assert high >= 1000


@pytest.mark.parametrize("scale", LOGICLES, ids=str)
def test_the_largest_floats_of_a_file_have_a_place(scale: Logicle) -> None:
    axis = scale(np.array([-1.8e308, -1e300, -3.4e38, 0.0, 3.4e38, 1e300, 1.8e308]).clip(-1.7e308, 1.7e308))
    assert (np.diff(axis) > 0).all()


def test_a_block_and_its_rows_are_the_same_to_the_bit() -> None:
    whole = LOGICLES[0](MIDDLE)
    some = np.arange(0, len(MIDDLE), 7)
    np.testing.assert_array_equal(LOGICLES[0](MIDDLE[some]), whole[some])


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("logicle", {"T": 0.0}, "T is 0 and must be above 0"),
        ("logicle", {"M": 0.0}, "M is 0 and must be above 0 and at most 100"),
        ("logicle", {"M": 400.0}, "M is 400 and must be above 0 and at most 100"),
        ("logicle", {"W": -0.1}, "W is -0.1 and must lie between 0 and M / 2"),
        ("logicle", {"W": 2.3}, "W is 2.3 and must lie between 0 and M / 2"),
        ("logicle", {"A": -0.6}, "A is -0.6 and must lie between -W and M - 2 W"),
        ("logicle", {"A": 3.6}, "A is 3.6 and must lie between -W and M - 2 W"),
        ("logicle", {"T": math.nan}, "T is nan and must be above 0"),
        ("arcsinh", {"T": -1.0, "M": 4.0}, "T is -1 and must be above 0"),
        ("arcsinh", {"T": 1.0, "M": 0.0}, "M is 0 and must be above 0 and at most 100"),
        ("arcsinh", {"T": 1.0, "M": 4.0, "A": 4.1}, "A is 4.1 and must lie between 0 and M"),
        ("arcsinh", {"T": 1.0, "M": 4.0, "A": -0.1}, "A is -0.1 and must lie between 0 and M"),
        ("log", {"T": 0.0, "M": 4.0}, "T is 0 and must be above 0"),
        ("log", {"T": 1.0, "M": -1.0}, "M is -1 and must be above 0"),
        ("linear", {"T": 0.0}, "T is 0 and must be above 0"),
        ("linear", {"T": 10.0, "A": 11.0}, "A is 11 and must lie between 0 and T"),
    ],
)
def test_parameters_without_meaning_are_refused(name: str, settings: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        TRANSFORMS[name](**settings)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("settings", [{"W": 2.25}, {"W": 0.0}, {"A": -0.5}, {"A": 3.5}])
def test_parameters_at_their_bounds_are_taken(settings: dict[str, float]) -> None:
    scale = Logicle(**settings)
    axis = scale(np.array([-1e4, 0.0, 1e4]))
    assert (np.diff(axis) > 0).all()
    assert axis[1] == pytest.approx(scale.zero, abs=1e-12)
