from twisted.logger import LogLevel, globalLogPublisher

from pbx.app.rtp_ports import Look, make_port_pool
from pbx.config_values import PortRange
from pbx.entropy import SeededEntropy


def test_the_highest_pair_of_the_range_is_used_too():
    pool = make_port_pool(PortRange(10_000, 10_006), SeededEntropy(), 0.0)
    assert pool.available == 4


def test_pairs_that_others_hold_are_warned_of_once():
    events = []
    look = Look({20_000: False, 20_002: True, 20_004: False}.__getitem__)
    globalLogPublisher.addObserver(events.append)
    try:
        assert [look(port) for port in (20_000, 20_002, 20_004, 20_000)] == [False, True, False, False]
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert [(each["log_level"], each["port"]) for each in events] == [
        (LogLevel.warn, 20_000),
        (LogLevel.debug, 20_004),
        (LogLevel.debug, 20_000),
    ]
