import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.decision import NO_OVERRIDES, Decision, DecisionBands, ThresholdOverrides

PROBABILITIES = st.floats(0, 1)
ORDER = list(Decision)


@st.composite
def bands(draw: st.DrawFn) -> DecisionBands:
    """Any two thresholds in order."""
    return DecisionBands(*sorted([draw(PROBABILITIES), draw(PROBABILITIES)]))


@given(bands(), st.lists(PROBABILITIES))
def test_a_decision_is_the_band_of_its_probability(chosen: DecisionBands, probabilities: list[float]) -> None:
    """Each probability, in order, is declined from one threshold on, reviewed from the other, else approved."""
    expected = [
        Decision.DECLINE if p >= chosen.decline else Decision.REVIEW if p >= chosen.review else Decision.APPROVE
        for p in probabilities
    ]
    assert chosen.decide(np.array(probabilities)) == expected


@given(bands(), st.lists(PROBABILITIES))
def test_a_higher_probability_is_never_treated_more_kindly(chosen: DecisionBands, probabilities: list[float]) -> None:
    """The decision is monotone in the probability."""
    severities = [ORDER.index(decision) for decision in chosen.decide(np.array(sorted(probabilities)))]
    assert severities == sorted(severities)


@given(bands())
def test_a_threshold_belongs_to_the_band_above(chosen: DecisionBands) -> None:
    """A probability that is exactly a threshold is in the upper band."""
    review, decline = chosen.decide(np.array([chosen.review, chosen.decline]))
    assert review is not Decision.APPROVE
    assert decline is Decision.DECLINE


@given(st.floats(0, 1, width=32), PROBABILITIES)
def test_float32_is_compared_exactly(probability: float, threshold: float) -> None:
    """A float32 probability is compared with the threshold itself, not with the threshold rounded to float32."""
    (decision,) = DecisionBands(threshold, threshold).decide(np.array([probability], dtype=np.float32))
    assert (decision is Decision.DECLINE) == (probability >= threshold)


@given(PROBABILITIES, st.lists(PROBABILITIES))
def test_equal_thresholds_leave_nothing_to_review(threshold: float, probabilities: list[float]) -> None:
    """Where both thresholds are one, nothing is reviewed."""
    assert Decision.REVIEW not in DecisionBands(threshold, threshold).decide(np.array(probabilities))


def test_a_probability_that_is_no_number_is_declined() -> None:
    """NaN is never approved."""
    assert DecisionBands(0.5, 1.0).decide(np.array([np.nan])) == [Decision.DECLINE]


@pytest.mark.parametrize(
    ("review", "decline"), [(0.6, 0.5), (-0.1, 0.5), (0.5, 1.1), (float("nan"), 0.5), (0.5, float("nan"))]
)
def test_thresholds_out_of_order_are_refused(review: float, decline: float) -> None:
    """Thresholds must be probabilities, review not above decline."""
    with pytest.raises(ValueError, match="thresholds"):
        DecisionBands(review, decline)


@given(bands(), PROBABILITIES | st.none(), PROBABILITIES | st.none())
def test_a_deployment_overrides_what_it_names(
    chosen: DecisionBands, review: float | None, decline: float | None
) -> None:
    """A threshold that is given is in force, review at most up to decline; one that is not is the model's own."""
    found = ThresholdOverrides(review, decline).apply_to(chosen)
    assert found.decline == (chosen.decline if decline is None else decline)
    assert found.review == min(chosen.review if review is None else review, found.decline)


@given(bands())
def test_without_an_override_the_card_decides(chosen: DecisionBands) -> None:
    """A deployment that says nothing leaves each model its own thresholds."""
    assert NO_OVERRIDES.apply_to(chosen) == chosen


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_an_override_that_is_no_probability_is_refused(wrong: float) -> None:
    """Either threshold is refused where it is read, not first where it is used."""
    for thresholds in ({"review": wrong}, {"decline": wrong}):
        with pytest.raises(ValueError, match="threshold"):
            ThresholdOverrides(**thresholds)
