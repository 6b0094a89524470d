"""Scores against what ITU-T has published."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.rtp.mos import mos, quality_in, quality_out, rating
from pbx.rtp.statistics import EndpointStats

# G.107 Table B.1: the lower limits of R for the categories of user satisfaction, and their MOS.
SATISFACTION = {90: 4.34, 80: 4.03, 70: 3.60, 60: 3.10, 50: 2.58}


@pytest.mark.parametrize(("r", "expected"), SATISFACTION.items())
def test_the_table_of_g_107_annex_b(r, expected):
    assert mos(float(r)) == pytest.approx(expected, abs=0.01)


RATINGS = {
    "G.107 §7.7: all defaults": ((0.0, 25.1, 0.0, 0.0), 93.2),
    "a delay under 100 ms takes nothing": ((0.0, 25.1, 0.0, 0.1), 93.2),
    "200 ms: the first octave, 25 (2^(1/6) - 3 (1 + 3^-6)^(1/6) + 2)": ((0.0, 25.1, 0.0, 0.2), 90.16),
    "G.114: 400 ms are the limit of what is acceptable": ((0.0, 25.1, 0.0, 0.4), 69.1),
    "G.729A without loss": ((11.0, 19.0, 0.0, 0.0), 82.2),
    "G.711 with concealment, 1 %: 95 / 26.1": ((0.0, 25.1, 0.01, 0.0), 89.56),
    "G.711 without it, 1 %: 95 / 5.3": ((0.0, 4.3, 0.01, 0.0), 75.28),
    "G.729A, 2 %: 11 + 84 * 2 / 21": ((11.0, 19.0, 0.02, 0.0), 74.2),
    "everything is lost": ((0.0, 25.1, 1.0, 0.0), 17.26),
}


@pytest.mark.parametrize(("arguments", "expected"), RATINGS.values(), ids=RATINGS)
def test_ratings(arguments, expected):
    assert rating(*arguments) == pytest.approx(expected, abs=0.05)


def test_the_best_call_is_441():
    assert mos(93.2) == pytest.approx(4.41, abs=0.005)


@given(st.floats(-500, 500), st.floats(-500, 500))
def test_a_better_rating_is_no_worse_a_score(a, b):
    assert 1.0 <= mos(min(a, b)) <= mos(max(a, b)) <= 4.5


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 10), st.floats(0, 10))
def test_more_loss_or_delay_is_never_better(loss, more_loss, delay, more_delay):
    one = rating(0.0, 25.1, min(loss, more_loss), min(delay, more_delay))
    assert rating(0.0, 25.1, max(loss, more_loss), max(delay, more_delay)) <= one + 1e-9


CLEAN = EndpointStats(packets_in=1000, packets_out=1000, payload_type=8)

HEARD = {
    "nothing came": (EndpointStats(), "PCMA", None),
    "all of it passed unseen": (EndpointStats(packets_in=900, kernel_in=900), "PCMA", None),
    "clean": (CLEAN, "PCMA", (1000, 0.0, 4.41)),
    "a codec that is only known by its number": (CLEAN, "", (1000, 0.0, 4.41)),
    "a codec as SDP names it": (CLEAN, "opus/48000/2", (1000, 0.0, 4.41)),
    "a codec nobody has judged": (CLEAN, "L16", (1000, 0.0, None)),
    "lost": (EndpointStats(packets_in=980, lost=20), "PCMU", (1000, 0.02, 4.23)),
    "lost, in the part that was seen": (
        EndpointStats(packets_in=1980, kernel_in=1000, lost=20),
        "PCMU",
        (2000, 0.02, 4.23),
    ),
    "more duplicates than losses": (EndpointStats(packets_in=1000, lost=-5), "PCMU", (1000, 0.0, 4.41)),
    "far away": (EndpointStats(packets_in=1000, round_trip_s=0.76), "PCMU", (1000, 0.0, 3.56)),
}


@pytest.mark.parametrize(("stats", "codec", "expected"), HEARD.values(), ids=HEARD)
def test_how_the_peer_is_heard(stats, codec, expected):
    quality = quality_in(stats, codec)
    if expected is None:
        assert quality is None
        return
    packets, loss, score = expected
    assert (quality.packets, quality.loss) == (packets, loss)
    assert quality.mos == (score if score is None else pytest.approx(score, abs=0.005))


def test_how_the_peer_hears_is_what_it_reports():
    assert quality_out(CLEAN, "PCMA") is None
    reported = EndpointStats(packets_out=500, lost_out=5, jitter_out_s=0.01, round_trip_s=0.1)
    quality = quality_out(reported, "PCMA")
    assert (quality.packets, quality.loss, quality.jitter_s) == (500, 0.01, 0.01)
    assert quality.delay_s == pytest.approx(0.09)
    assert quality.mos == pytest.approx(4.33, abs=0.005)
