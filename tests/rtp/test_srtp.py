"""libsrtp against itself, and AES_256_CM, which pylibsrtp knows nothing of, against RFC 6188 by hand."""

import hmac

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from pbx.errors import MediaError
from pbx.rtp.packet import MAX_PACKET, Packet
from pbx.rtp.rtcp import Report
from pbx.rtp.srtp import SOURCES, Counter, Srtp, SrtpRefusedError
from pbx.sdp.crypto import KEY_BYTES, SrtpKeys

TAG_BYTES = {"80": 10, "32": 4, "GCM": 16}


def pair(suite):
    ours, theirs = (bytes(range(start, start + KEY_BYTES[suite])) for start in (1, 101))
    return Srtp(SrtpKeys(suite, ours, theirs)), Srtp(SrtpKeys(suite, theirs, ours))


def rtp(sequence, ssrc=7, size=160):
    return Packet(0, sequence, 160 * sequence, ssrc, b"\xd5" * size).pack()


@pytest.fixture(params=KEY_BYTES)
def suite(request):
    return request.param


def test_what_is_protected_is_opened_again_both_ways(suite):
    a, b = pair(suite)
    tag = next(size for word, size in TAG_BYTES.items() if suite.endswith(word))
    for sender, receiver in ((a, b), (b, a)):
        protected = sender.protect(rtp(1))
        assert len(protected) == len(rtp(1)) + tag
        assert receiver.unprotect(protected) == rtp(1)


def test_reports_too(suite):
    a, b = pair(suite)
    report = Report(7, 1, ()).pack()
    protected = a.protect_rtcp(report)
    assert protected[8:] != report[8:]
    assert b.unprotect_rtcp(protected) == report


def test_replayed_and_forged_packets_are_refused(suite):
    a, b = pair(suite)
    protected = a.protect(rtp(1))
    b.unprotect(protected)
    for packet in (protected, rtp(2), a.protect(rtp(3))[:-1] + b"?", b"", b"\x80"):
        with pytest.raises(SrtpRefusedError):
            b.unprotect(packet)
    report = a.protect_rtcp(Report(7, 1, ()).pack())
    b.unprotect_rtcp(report)
    for packet in (report, Report(7, 2, ()).pack()):
        with pytest.raises(SrtpRefusedError):
            b.unprotect_rtcp(packet)


def test_no_keystream_is_used_twice(suite):
    a, _ = pair(suite)
    a.protect(rtp(1))
    with pytest.raises(SrtpRefusedError):
        a.protect(rtp(1, size=100))


def test_several_sources_share_a_session_and_numbers_go_round(suite):
    a, b = pair(suite)
    for sequence in (65_534, 65_535, 0, 1):
        for ssrc in (7, 8):
            assert b.unprotect(a.protect(rtp(sequence, ssrc))) == rtp(sequence, ssrc)


def test_packets_of_full_size_fit(suite):
    a, b = pair(suite)
    packet = rtp(1, size=MAX_PACKET - 12)
    assert b.unprotect(a.protect(packet)) == packet


class Lives:
    """A session whose process dies now and then, beside a phone that lives on."""

    def __init__(self, suite):
        self.known = {}
        ours, theirs = (bytes(range(start, start + KEY_BYTES[suite])) for start in (1, 101))
        self.keys = SrtpKeys(suite, ours, theirs)
        self.phone = Srtp(SrtpKeys(suite, theirs, ours))
        self.again()

    def again(self):
        self.ours = Srtp(self.keys, dict(self.known), self.known.__setitem__)

    def both_ways(self, index):
        packet = rtp(index & 0xFFFF)
        assert self.phone.unprotect(self.ours.protect(packet)) == packet
        assert self.ours.unprotect(self.phone.protect(packet)) == packet


@pytest.mark.parametrize("end", [40_000, 65_536, 66_000, 200_000])
@pytest.mark.parametrize("gap", [1, 15, 3000])
def test_a_session_goes_on_in_another_process(suite, end, gap):
    lives = Lives(suite)
    for index in range(39_936, end, 256):  # those counters look at
        lives.both_ways(index)
    for index in range(end, end + 10):
        lives.both_ways(index)
    lives.again()
    for index in range(end + 9 + gap, end + 20 + gap):
        lives.both_ways(index)
    assert len(lives.known) == 2


def test_a_forged_packet_does_not_lead_a_new_session_astray(suite):
    lives = Lives(suite)
    for index in range(0, 70_144, 256):
        lives.both_ways(index)
    lives.again()
    genuine = lives.phone.protect(rtp(70_145 & 0xFFFF))
    forged = genuine[:2] + (90_000 & 0xFFFF).to_bytes(2, "big") + genuine[4:]
    with pytest.raises(SrtpRefusedError):
        lives.ours.unprotect(forged)
    assert lives.ours.unprotect(genuine) == rtp(70_145 & 0xFFFF)


def test_a_report_index_is_never_used_again(suite):
    lives = Lives(suite)
    report = Report(7, 1, ()).pack()
    for _ in range(3):
        for _ in range(100):
            assert lives.phone.unprotect_rtcp(lives.ours.protect_rtcp(report)) == report
        lives.again()


def test_the_number_of_sources_is_bounded(suite):
    a, b = pair(suite)
    for ssrc in range(SOURCES):
        b.unprotect(a.protect(rtp(1, ssrc)))
    for action, packet in (
        (a.protect, rtp(1, SOURCES)),
        (b.unprotect, pair(suite)[0].protect(rtp(1, SOURCES))),
    ):
        with pytest.raises(SrtpRefusedError, match="too many"):
            action(packet)
    assert b.unprotect(a.protect(rtp(2, 0))) == rtp(2, 0)


def of_both(suite, *letters):
    """Keys as we and as the phone have them: ours, the phone's."""
    ours, theirs = (letter * KEY_BYTES[suite] for letter in letters)
    return SrtpKeys(suite, ours, theirs), SrtpKeys(suite, theirs, ours)


@pytest.mark.parametrize("changed", ["the phone's key", "our key"])
def test_the_way_whose_key_stays_goes_on_and_the_other_begins_anew(suite, changed):
    keys, phones = of_both(suite, b"o", b"p")
    a, b = Srtp(keys), Srtp(phones)
    report = Report(7, 1, ()).pack()
    for index in range(65_000, 66_000):  # once round
        b.unprotect(a.protect(rtp(index & 0xFFFF)))
        a.unprotect(b.protect(rtp(index & 0xFFFF)))
    b.unprotect_rtcp(a.protect_rtcp(report))
    is_phones = changed == "the phone's key"
    new_keys, new_phones = of_both(suite, *((b"o", b"n") if is_phones else (b"n", b"p")))
    told = {}
    a, new_b = Srtp(new_keys, {}, told.__setitem__, a), Srtp(new_phones)
    (stays, goes), (begins, comes) = ((a, b), (new_b, a)) if is_phones else ((b, a), (a, new_b))
    assert goes.unprotect(stays.protect(rtp(66_001 & 0xFFFF))) == rtp(66_001 & 0xFFFF)
    assert comes.unprotect(begins.protect(rtp(66_001 & 0xFFFF))) == rtp(66_001 & 0xFFFF)
    if is_phones:
        assert b.unprotect_rtcp(a.protect_rtcp(report)) == report
    assert set(told) == {Counter("in" if is_phones else "out", 7)}


def test_what_was_known_of_the_way_whose_key_stays_is_known_on(suite):
    """The worker that died has sent; the new one has not yet when the phone changes its key."""
    keys, _ = of_both(suite, b"o", b"p")
    known = {Counter("out", 7): 70_000, Counter("rtcp", 7): 64, Counter("in", 8): 70_000}
    new_keys, new_phones = of_both(suite, b"o", b"n")
    told = {}
    a = Srtp(new_keys, {}, told.__setitem__, Srtp(keys, known))
    a.protect(rtp(70_500 & 0xFFFF))
    a.protect_rtcp(Report(7, 1, ()).pack())
    a.unprotect(Srtp(new_phones).protect(rtp(5, 8)))
    assert told == {Counter("out", 7): 70_500, Counter("rtcp", 7): 128, Counter("in", 8): 5}


WRONG = {
    "unknown suite": SrtpKeys("F8_128_HMAC_SHA1_80", bytes(30), bytes(30)),
    "key too short": SrtpKeys("AEAD_AES_256_GCM", bytes(28), bytes(28)),
    "one key too long": SrtpKeys("AES_CM_128_HMAC_SHA1_80", bytes(30), bytes(46)),
}


@pytest.mark.parametrize("keys", WRONG.values(), ids=WRONG)
def test_unusable_keys(keys):
    with pytest.raises(MediaError):
        Srtp(keys)


def aes_ctr(key, counter, data):
    return Cipher(AES(key), CTR(counter)).encryptor().update(data)


def derive(key, salt, label, size):
    """RFC 3711 §4.3.1 with AES-256 as the pseudorandom function (RFC 6188 §3)."""
    start = int.from_bytes(salt, "big") ^ label << 48
    return aes_ctr(key, (start << 16).to_bytes(16, "big"), bytes(size))


def test_derivation_by_hand_gives_the_vectors_of_rfc_6188():
    key = bytes.fromhex("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6")
    salt = bytes.fromhex("3b04803de51ee7c96423ab5b78d2")
    cipher_key = "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4"
    assert derive(key, salt, 0, 32).hex() == cipher_key
    assert derive(key, salt, 2, 14).hex() == "fa31791685ca444a9e07c6c64e93"


@pytest.mark.parametrize(
    ("suite", "tag_size"), [("AES_256_CM_HMAC_SHA1_80", 10), ("AES_256_CM_HMAC_SHA1_32", 4)]
)
def test_aes_256_by_hand(suite, tag_size):
    local = bytes(range(46))
    key, salt = local[:32], local[32:]
    packet = rtp(1)
    mask = int.from_bytes(derive(key, salt, 2, 14), "big") << 16
    counter = mask ^ 7 << 64 ^ 1 << 16  # RFC 3711 §4.1.1: SSRC 7, packet index 1
    payload = aes_ctr(derive(key, salt, 0, 32), counter.to_bytes(16, "big"), packet[12:])
    signed = packet[:12] + payload
    tag = hmac.digest(derive(key, salt, 1, 20), signed + bytes(4), "sha1")[:tag_size]
    assert Srtp(SrtpKeys(suite, local, bytes(46))).protect(packet) == signed + tag
