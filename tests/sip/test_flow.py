import pytest

from pbx.sip.flow import Flow


@pytest.mark.parametrize(
    ("transport", "is_reliable", "is_secure"),
    [("UDP", False, False), ("TCP", True, False), ("TLS", True, True)],
)
def test_kinds_of_flow(transport, is_reliable, is_secure):
    flow = Flow(transport, ("192.0.2.1", 5060), ("192.0.2.2", 5060))
    assert (flow.is_reliable, flow.is_secure, flow.accepted) == (is_reliable, is_secure, False)
    assert flow in {flow}
