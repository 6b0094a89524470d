"""A final response without a transaction to repeat it (RFC 3261 §8.2.7, §26.3.2.4)."""

import pytest

from pbx.sip.transaction.key import server_key
from pbx.sip.transaction.layer import TransactionLayer
from pbx.sip.transaction.timers import Timers
from pbx.sip.transaction.types import Ended, Ignored, RequestIn, Send
from tests.sip.transaction.support import UDP, answer, make_request


@pytest.mark.parametrize("method", ["INVITE", "REGISTER"])
def test_it_is_sent_once_and_the_transaction_is_forgotten(method):
    layer = TransactionLayer(Timers())
    request = make_request(method)
    key, refusal = server_key(request), answer(request, 401)
    layer.receive(request, UDP, 0.0)
    assert layer.respond_once(key, refusal) == [Send(refusal.render(), UDP), Ended(key)]
    assert len(layer) == 0
    assert layer.expire(1000.0) == []
    assert isinstance(layer.respond_once(key, refusal)[0], Ignored)
    (again,) = [effect for effect in layer.receive(request, UDP, 0.5) if isinstance(effect, RequestIn)]
    assert not again.merged
