"""RFC 4568: reading crypto attributes, answering them, taking their answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.entropy import SeededEntropy
from pbx.sdp.crypto import (
    KEY_BYTES,
    CryptoAttribute,
    SrtpKeys,
    accept,
    choose,
    make_offer,
    parse_crypto,
    read_crypto,
)
from tests.sdp.builders import key

CM80, CM32, GCM = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_256_GCM"
K80 = b"k" * 30
USABLE = {
    **{f"{suite}": (f"1 {suite} {key(suite)}", (1, suite, b"k" * size)) for suite, size in KEY_BYTES.items()},
    "another tag": (f"999999999 {CM80} {key()}", (999999999, CM80, K80)),
    "tag 0": (f"0 {CM80} {key()}", (0, CM80, K80)),
    "a suite in small letters": (f"1 {CM80.lower()} {key()}", (1, CM80, K80)),
    "INLINE": (f"1 {CM80} {key().replace('inline', 'INLINE')}", (1, CM80, K80)),
    "a lifetime as a power": (f"1 {CM80} {key()}|2^20", (1, CM80, K80)),
    "a lifetime in digits": (f"1 {CM80} {key()}|1048576", (1, CM80, K80)),
    "no padding": (f"1 {GCM} {key(GCM).rstrip('=')}", (1, GCM, b"k" * 44)),
    "more blanks": (f" 1   {CM80}  {key()} ", (1, CM80, K80)),
    "a window size hint": (f"1 {CM80} {key()} WSH=64", (1, CM80, K80)),
    "an unknown parameter that may be ignored": (f"1 {CM80} {key()} -x=1", (1, CM80, K80)),
}


@pytest.mark.parametrize(("value", "expected"), USABLE.values(), ids=USABLE)
def test_usable(value, expected):
    crypto = parse_crypto(value)
    assert crypto == CryptoAttribute(*expected)
    assert parse_crypto(crypto.render().removeprefix("crypto:")) == crypto


UNUSABLE = {
    "nothing": "",
    "only a tag": "1",
    "no key": f"1 {CM80}",
    "an empty key": f"1 {CM80} inline:",
    "no method": f"1 {CM80} {'A' * 40}",
    "another method": f"1 {CM80} uri:{'A' * 40}",
    "a key too short": f"1 {CM80} inline:{'A' * 36}",
    "a key too long": f"1 {CM80} inline:{'A' * 44}",
    "a key of another suite": f"1 {GCM} {key()}",
    "a key that is no base64": f"1 {CM80} inline:{'*' * 40}",
    "a key with one letter too many": f"1 {CM80} inline:{'A' * 41}",
    "a key that is not ASCII": f"1 {CM80} inline:{'é' * 40}",
    "padding within": f"1 {CM80} inline:{'A' * 18}=={'A' * 20}",
    "an MKI": f"1 {CM80} {key()}|1:4",
    "a lifetime and an MKI": f"1 {CM80} {key()}|2^20|1:4",
    "two keys": f"1 {CM80} {key()};{key()}",
    "an unknown suite": f"1 F8_128_HMAC_SHA1_80 {key()}",
    "a tag of letters": f"one {CM80} {key()}",
    "a tag with a sign": f"-1 {CM80} {key()}",
    "a tag of ten digits": f"1000000000 {CM80} {key()}",
    "no encryption": f"1 {CM80} {key()} UNENCRYPTED_SRTP",
    "no encryption of RTCP": f"1 {CM80} {key()} UNENCRYPTED_SRTCP",
    "no authentication": f"1 {CM80} {key()} UNAUTHENTICATED_SRTP",
    "a key derivation rate": f"1 {CM80} {key()} KDR=3",
    "an order of repair": f"1 {CM80} {key()} FEC_ORDER=FEC_SRTP",
    "an unknown parameter": f"1 {CM80} {key()} x=1",
}


@pytest.mark.parametrize("value", UNUSABLE.values(), ids=UNUSABLE)
def test_unusable(value):
    assert parse_crypto(value) is None


def test_the_unusable_are_passed_over_and_of_one_tag_the_first_counts():
    second = key(letter=b"2")
    values = [UNUSABLE["an MKI"], f"2 {CM80} {key()}", f"2 {CM32} {second}", f"3 {CM32} {second}"]
    assert [(each.tag, each.suite) for each in read_crypto(values)] == [(2, CM80), (3, CM32)]


def test_our_offer_has_a_fresh_key_for_each_suite():
    offer = make_offer(SeededEntropy())
    assert [each.tag for each in offer] == [1, 2, 3, 4, 5]
    assert all(len(each.key) == KEY_BYTES[each.suite] for each in offer)
    assert len({each.key for each in offer}) == 5


def test_the_answer_repeats_the_first_usable_tag_with_our_own_key():
    offered = read_crypto([f"4 {CM32} {key()}", f"5 {CM80} {key()}"])
    answer, keys = choose(offered, SeededEntropy())
    assert (answer.tag, answer.suite) == (4, CM32)
    assert keys == SrtpKeys(CM32, answer.key, K80)
    assert answer.key != K80


def test_our_key_stays_while_the_suite_does():
    offered = read_crypto([f"1 {CM80} {key(letter=b'n')}"])
    same = SrtpKeys(CM80, b"o" * 30, K80)
    assert choose(offered, SeededEntropy(), same)[1] == SrtpKeys(CM80, b"o" * 30, b"n" * 30)
    other = SrtpKeys(CM32, b"o" * 30, K80)
    assert choose(offered, SeededEntropy(), other)[1].local != b"o" * 30


def test_nothing_offered_nothing_chosen():
    assert choose((), SeededEntropy()) is None


OFFERED = make_offer(SeededEntropy(), [CM80, CM32])
ACCEPT = {
    "our first": (f"1 {CM80} {key()}", (0, CM80)),
    "our second": (f"2 {CM32} {key()}", (1, CM32)),
    "a tag that we did not offer": (f"3 {CM80} {key()}", None),
    "our tag with another suite": (f"1 {CM32} {key()}", None),
    "a broken key": (f"1 {CM80} inline:AAAA", None),
}


@pytest.mark.parametrize(("value", "expected"), ACCEPT.values(), ids=ACCEPT)
def test_accept(value, expected):
    found = accept(OFFERED, read_crypto([value]))
    if expected is None:
        assert found is None
    else:
        place, suite = expected
        assert found == (OFFERED[place], SrtpKeys(suite, OFFERED[place].key, K80))


def test_no_key_is_ever_shown():
    crypto = parse_crypto(f"1 {CM80} {key()}")
    assert "kkk" not in repr(crypto)
    assert "kkk" not in repr(SrtpKeys(CM80, K80, K80))


@given(st.text(max_size=30).map(f"1 {CM80} inline:".__add__) | st.text(max_size=60))
def test_rubbish_is_no_crypto(value):
    assert parse_crypto(value) is None
