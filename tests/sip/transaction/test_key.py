"""Which messages belong together (RFC 3261 §17.1.3 and §17.2.3)."""

import pytest

from pbx.sip.transaction.key import client_key, server_key
from tests.sip.transaction.support import answer, make_request

OLD = "SIP/2.0/UDP 127.0.0.1:5062"  # RFC 2543: a Via without a branch
TAGGED = "<sip:bob@127.0.0.2>;tag=bob"

SAME = {
    "a copy": (make_request(), make_request()),
    "an ACK with the branch of its INVITE": (make_request(), make_request("ACK", to=TAGGED)),
    "the branch is a token, and so in any case": (
        make_request(via="SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKAbC"),
        make_request(via="SIP/2.0/UDP 127.0.0.1;branch=Z9HG4BKaBc"),
    ),
    "the host is compared in any case": (
        make_request(via="SIP/2.0/UDP Phone.Example;branch=z9hG4bKa"),
        make_request(via="SIP/2.0/UDP phone.example;branch=z9hG4bKa"),
    ),
    "with a branch nothing else matters": (make_request(), make_request(call_id="other", cseq=7)),
    "old: all is alike": (make_request(via=OLD), make_request(via=OLD)),
    "old: the ACK of a refusal has a To tag more": (
        make_request(via=OLD),
        make_request("ACK", via=OLD, to=TAGGED),
    ),
    "old: a branch of before the cookie must be alike": (
        make_request(via=f"{OLD};branch=1"),
        make_request(via=f"{OLD};branch=1"),
    ),
    "old: the cookie alone is no branch": (
        make_request(via=f"{OLD};branch=z9hG4bK"),
        make_request("ACK", via=f"{OLD};branch=z9hG4bK", to=TAGGED),
    ),
}
DIFFERENT = {
    "another branch": (make_request(), make_request(via="SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKtwo")),
    "the same branch of another client": (
        make_request(),
        make_request(via="SIP/2.0/UDP 127.0.0.3:5062;branch=z9hG4bKone"),
    ),
    "the same branch from another port": (
        make_request(),
        make_request(via="SIP/2.0/UDP 127.0.0.1:5063;branch=z9hG4bKone"),
    ),
    "a CANCEL is a transaction of its own": (make_request(), make_request("CANCEL")),
    "another method": (make_request("OPTIONS"), make_request("BYE")),
    "old: another Request-URI": (make_request(via=OLD), make_request(via=OLD, uri="sip:eve@127.0.0.2")),
    "old: another From tag": (
        make_request(via=OLD),
        make_request(via=OLD, from_="<sip:ann@127.0.0.1>;tag=x"),
    ),
    "old: another Call-ID": (make_request(via=OLD), make_request(via=OLD, call_id="other")),
    "old: another CSeq": (make_request(via=OLD), make_request(via=OLD, cseq=2)),
    "old: another Via": (make_request(via=f"{OLD};branch=1"), make_request(via=f"{OLD};branch=2")),
    "old: another port": (make_request(via=OLD), make_request(via="SIP/2.0/UDP 127.0.0.1:5063")),
    "old: another host": (make_request(via=OLD), make_request(via="SIP/2.0/UDP 127.0.0.3:5062")),
    "old: another To tag in a BYE": (make_request("BYE", via=OLD), make_request("BYE", via=OLD, to=TAGGED)),
    "old and new": (make_request(via=OLD), make_request(via=f"{OLD};branch=z9hG4bKone")),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_requests_of_one_server_transaction(one, other):
    assert server_key(one) == server_key(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_requests_of_two_server_transactions(one, other):
    assert server_key(one) != server_key(other)


def test_a_response_has_the_key_of_its_request():
    assert client_key(answer(make_request(), 200)) == client_key(make_request())


def test_a_response_may_spell_the_branch_in_another_case():
    response = answer(make_request(), 200)
    response.headers.set("Via", "SIP/2.0/UDP 127.0.0.1:5062;branch=Z9HG4BKONE")
    assert client_key(response) == client_key(make_request())


def test_the_response_to_a_cancel_is_not_one_to_its_invite():
    assert client_key(answer(make_request("CANCEL"), 200)) != client_key(make_request())


def test_our_own_request_coming_back_is_no_response():
    assert server_key(make_request()) != client_key(make_request())
