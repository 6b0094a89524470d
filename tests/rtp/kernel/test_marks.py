"""Whose entries are whose."""

from dataclasses import replace

import pytest

from pbx.rtp.kernel.conntrack import Entry, Flow
from pbx.rtp.kernel.marks import MOST_WORKERS, Mark, server_mark, table_name
from pbx.rtp.kernel.nftables import PASSED

MARK = server_mark("folder", 10_000, 10_998)


def entry(mark, ports=(10_000, 10_002)):
    flows = [Flow(("192.0.2.1", 4000), ("192.0.2.9", port)) for port in ports]
    return Entry(1, mark, *flows, None, None)


@pytest.mark.parametrize("number", [0, 1, MOST_WORKERS - 1])
@pytest.mark.parametrize("passed", [0, *PASSED, sum(PASSED)])
def test_a_server_knows_the_entries_of_all_its_workers_and_a_worker_its_own(number, passed):
    worker = MARK.of_worker(number)
    found = entry(worker.value | passed)
    assert MARK.owns(found)
    assert worker.owns(found)
    assert not MARK.of_worker((number + 1) % MOST_WORKERS).owns(found)
    assert not server_mark("other", 10_000, 10_998).owns(found)


OTHERS = {
    "no mark": entry(0),
    "one of its ports is not ours": entry(MARK.value, (10_000, 11_000)),
    "another port": entry(MARK.value, (9_998, 10_002)),
    "not UDP": replace(entry(MARK.value), reply=None),
}


@pytest.mark.parametrize("found", OTHERS.values(), ids=OTHERS)
def test_what_is_somebody_elses(found):
    assert not MARK.owns(found)


def test_a_mark_passes_by_the_command_line():
    worker = MARK.of_worker(3)
    assert Mark.parse(worker.arguments()) == worker
    assert Mark.parse([]) is None


def test_names_are_recognisable_and_stay():
    assert table_name("folder") == table_name("folder") != table_name("other")
    assert table_name("folder").startswith("pbx-")
    assert MARK.value >> 24 == 0x50
