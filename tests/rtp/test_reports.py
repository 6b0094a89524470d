"""What the peer reports of the stream that it gets from us."""

import pytest

from pbx.rtp.reports import Reports
from pbx.rtp.rtcp import Report, ReportBlock

OURS, THEIRS, OTHER = 11, 22, 33
INTERRUPTED = "interrupted"

# SSRC, lost so far, jitter in ticks; and what is known then: lost packets, jitter in ms
HEARD = {
    "it says what was lost so far": ([(THEIRS, 3, 80), (THEIRS, 5, 160)], [(3, 10), (5, 20)]),
    "of other streams nothing is taken": ([(OTHER, 3, 80)], [(None, None)]),
    "what it missed while it heard somebody else was not sent": (
        [(THEIRS, 3, 80), INTERRUPTED, (THEIRS, 90, 9_000), (THEIRS, 92, 80)],
        [(3, 10), (3, 10), (5, 10)],
    ),
    "what was missed before anything was known of it, neither": (
        [INTERRUPTED, (THEIRS, 90, 9_000), (THEIRS, 92, 80)],
        [(None, None), (2, 10)],
    ),
    "another stream is counted from its beginning": (
        [(THEIRS, 3, 80), INTERRUPTED, (OTHER, 1, 80), (OTHER, 2, 80)],
        [(3, 10), (3, 10), (4, 10)],
    ),
    "copies that came twice are taken back": ([(THEIRS, 3, 80), (THEIRS, 1, 80)], [(3, 10), (1, 10)]),
}


@pytest.mark.parametrize(("story", "expected"), HEARD.values(), ids=HEARD)
def test_how_the_peer_hears(story: list[tuple[int, int, int] | str], expected: list[tuple[int | None, int]]):
    reports, found = Reports(), []
    for now, step in enumerate(story):
        if isinstance(step, str):
            reports.interrupted()
            continue
        ssrc, lost, jitter_ticks = step
        block = ReportBlock(ssrc, 0.0, lost, 1000, jitter_ticks, 0, 0.0)
        heard = ssrc if INTERRUPTED in story else THEIRS
        reports.read(Report(99, None, (block,)), (heard, 8000), float(now))
        jitter_s = reports.jitter_out_s
        found.append((reports.lost_out, None if jitter_s is None else jitter_s * 1000))
    assert found == expected
