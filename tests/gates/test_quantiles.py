"""Quantiles of events that count more or less often than once, beside numpy's of the events repeated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tregflow.gates.quantiles import quantiles

AT = (0.0, 0.02, 0.25, 0.5, 0.9, 0.99, 1.0)


@settings(max_examples=200, deadline=None)
@given(seen=st.data())
def test_whole_weights_give_the_quantiles_of_the_repeated_values(seen):
    values = seen.draw(arrays(np.float64, st.integers(1, 40), elements=st.floats(-5, 5)))
    counts = seen.draw(arrays(np.int64, len(values), elements=st.integers(0, 4)))
    counts[seen.draw(st.integers(0, len(values) - 1))] += 1
    wanted = np.quantile(np.repeat(values, counts), AT)
    np.testing.assert_allclose(quantiles(values, AT, counts.astype(float)), wanted, rtol=0, atol=1e-12)


def test_many_values_with_far_strays():
    rng = np.random.default_rng(1)
    values = np.append(rng.normal(0.3, 0.05, 50_000), [-400.0, 900.0])
    counts = rng.poisson(1, len(values))
    counts[-1] = 1
    wanted = np.quantile(np.repeat(values, counts), AT)
    np.testing.assert_allclose(quantiles(values, AT, counts.astype(float)), wanted, rtol=0, atol=1e-12)


def test_weights_of_one_change_nothing_at_all():
    values = np.random.default_rng(2).normal(size=10_001)
    np.testing.assert_array_equal(quantiles(values, AT, np.ones(len(values))), quantiles(values, AT))


def test_a_common_factor_of_large_weights_hardly_matters():
    rng = np.random.default_rng(3)
    values, weights = rng.normal(size=5_000), rng.exponential(size=5_000)
    np.testing.assert_allclose(
        quantiles(values, AT[2:5], weights), quantiles(values, AT[2:5], 7 * weights), atol=0.01
    )


@pytest.mark.parametrize("weights", [None, np.array([0.0, 3.0]), np.array([0.5, 0.25])])
def test_equal_values_have_one_quantile(weights):
    np.testing.assert_array_equal(quantiles(np.array([0.4, 0.4]), AT, weights), np.full(len(AT), 0.4))
