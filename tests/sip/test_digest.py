"""Digest authentication (RFC 7616, RFC 8760): what is accepted, what is stale, what is wrong."""

from dataclasses import replace
from itertools import product
from time import process_time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pbx.errors import UsageError
from pbx.sip import digest
from pbx.sip.digest import (
    ALGORITHMS,
    Accepted,
    Authenticator,
    Challenge,
    Ha1Pair,
    Refused,
    answer,
    is_same_resource,
    make_ha1,
    read_challenges,
)

REALM = "pbx.local"
URI = "sip:pbx.local"
PASSWORD = "correct horse"
SECRET = bytes(range(32))
PHONE = "192.0.2.7"
KNOWN = {"100": make_ha1("100", REALM, PASSWORD), "101": make_ha1("101", REALM, "other")}


def make(**settings):
    return Authenticator(REALM, SECRET, **settings)


def challenge_of(authenticator, now=0.0, algorithm="MD5", client=PHONE):
    values = authenticator.challenge(now, client=client)
    return read_challenges([value for value in values if f"algorithm={algorithm}," in value])[0]


def credentials(
    challenge, username="100", password=PASSWORD, method="REGISTER", uri=URI, nc=1, cnonce="c0ffee"
):
    return answer(challenge, username, password, method, uri, nc=nc, cnonce=cnonce)


def check(authenticator, *values, now=1.0, method="REGISTER", uri=URI, client=PHONE, lookup=KNOWN.get):
    return authenticator.check(method, values, lookup, now, uri, client=client)


# --- vectors -----------------------------------------------------------------------------------------------

MUFASA = Challenge(
    realm="http-auth@example.org",
    nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
)
BOB = Challenge(realm="biloxi.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093")
RFC_2069 = Challenge(realm="testrealm@host.com", nonce=BOB.nonce, qop="")
VECTORS = {
    "RFC 7616 §3.9.1, MD5": (
        (MUFASA, "Mufasa", "Circle of Life", "GET", "/dir/index.html"),
        "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        "8ca523f5e9506fed4657c9700eebdbec",
    ),
    "RFC 7616 §3.9.1, SHA-256": (
        (replace(MUFASA, algorithm="SHA-256"), "Mufasa", "Circle of Life", "GET", "/dir/index.html"),
        "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    ),
    "draft-smith-sipping-auth-examples §3.2, INVITE": (
        (BOB, "bob", "zanzibar", "INVITE", "sip:bob@biloxi.com"),
        "0a4f113b",
        "89eb0059246c02b2f6ee02c7961d5ea3",
    ),
    "RFC 2069 style, without qop": (
        (RFC_2069, "Mufasa", "CircleOfLife", "GET", "/dir/index.html"),
        "",
        "1949323746fe6a43ef61f9606e7febea",
    ),
}


@pytest.mark.parametrize(("arguments", "cnonce", "response"), VECTORS.values(), ids=VECTORS)
def test_published_vectors(arguments, cnonce, response):
    assert f'response="{response}"' in answer(*arguments, nc=1, cnonce=cnonce)


def test_an_ha1_serves_instead_of_the_password():
    ha1 = make_ha1("bob", "biloxi.com", "zanzibar")
    assert ha1.md5 == "12af60467a33e8518da5c68bbff12b11"
    by_password, by_ha1 = (
        answer(BOB, "bob", secret, "BYE", "sip:biloxi.com", nc=7, cnonce="x") for secret in ("zanzibar", ha1)
    )
    assert by_password == by_ha1


# --- challenges --------------------------------------------------------------------------------------------


def test_both_algorithms_are_offered_the_better_one_first():
    sha256, md5 = make().challenge(0.0)
    nonce = read_challenges([sha256])[0].nonce
    assert sha256 == f'Digest realm="pbx.local", nonce="{nonce}", algorithm=SHA-256, qop="auth"'
    assert md5 == f'Digest realm="pbx.local", nonce="{nonce}", algorithm=MD5, qop="auth"'


def test_a_stale_challenge_says_so():
    assert [each.is_stale for each in read_challenges(make().challenge(0.0, stale=True))] == [True, True]
    assert [each.is_stale for each in read_challenges(make().challenge(0.0))] == [False, False]


def test_only_the_algorithms_asked_for_are_offered_and_taken():
    both, only = make(), make(algorithms=["SHA-256"])
    assert [each.algorithm for each in read_challenges(only.challenge(0.0))] == ["SHA-256"]
    nonce = both.make_nonce(0.0, PHONE)
    md5 = credentials(Challenge(REALM, nonce, "MD5"))
    assert isinstance(check(both, md5), Accepted)
    assert check(only, md5) == Refused(False, None, "no usable credentials")


@pytest.mark.parametrize("names", [("MD5",), ("MD5", "SHA-256"), ("SHA-256", "MD5")])
def test_a_phone_may_need_other_algorithms_in_another_order(names):
    offered = make().challenge(0.0, algorithms=names)
    assert tuple(each.algorithm for each in read_challenges(offered)) == names


def test_no_two_nonces_are_equal_even_at_one_moment():
    authenticator = make()
    assert len({authenticator.make_nonce(5.0) for _ in range(1000)}) == 1000


def test_the_realm_may_hold_quotes():
    authenticator = Authenticator('the "old" \\ house', SECRET)
    challenge = read_challenges(authenticator.challenge(0.0))[0]
    assert challenge.realm == 'the "old" \\ house'
    lookup = {"100": make_ha1("100", challenge.realm, PASSWORD)}.get
    assert check(authenticator, credentials(challenge), lookup=lookup, client="") == Accepted("100")


@pytest.mark.parametrize(
    "settings", [{"secret": b"short"}, {"algorithms": []}, {"algorithms": ["SHA-512-256"]}]
)
def test_settings_that_cannot_be_are_a_usage_error(settings):
    with pytest.raises(UsageError):
        Authenticator(**{"realm": REALM, "secret": SECRET, **settings})


CHALLENGES = {
    "the topmost that we know": (
        ['Digest realm="a", nonce="1", algorithm=SHA-512-256', 'Digest realm="a", nonce="2", algorithm=MD5'],
        Challenge("a", "2", qop=""),
    ),
    "no algorithm means MD5, and is not named in the answer": (
        ['Digest realm="a", nonce="n", qop="auth,auth-int"'],
        Challenge("a", "n", names_algorithm=False),
    ),
    "integrity only where nothing else is offered": (
        ['Digest realm="a", nonce="n", algorithm=MD5, qop="auth-int"'],
        Challenge("a", "n", qop="auth-int"),
    ),
    "no quality that we know": (['Digest realm="a", nonce="n", qop="auth-conf"'], None),
    "everything in another order and spelling": (
        ['DIGEST\tNONCE = "n" ,Stale=TRUE,opaque="",algorithm="sha-256",QOP="auth" , realm="x \\"y\\", z"'],
        Challenge('x "y", z', "n", "SHA-256", opaque="", is_stale=True),
    ),
    "another scheme": (['Basic realm="a", nonce="n"'], None),
    "no nonce": (['Digest realm="a"'], None),
    "nothing": ([], None),
}


@pytest.mark.parametrize(("values", "expected"), CHALLENGES.values(), ids=CHALLENGES)
def test_a_client_chooses(values, expected):
    chosen = next(iter(read_challenges(values)), None)
    assert chosen == expected
    if chosen is not None:
        value = answer(chosen, "u", "p", "BYE", "sip:x", nc=1, cnonce="c")
        assert ("algorithm=" in value) == chosen.names_algorithm
        assert ("opaque=" in value) == (chosen.opaque is not None)
        assert ("qop=" in value) == bool(chosen.qop)


# --- the check ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_right_password_is_accepted(algorithm):
    authenticator = make()
    assert check(authenticator, credentials(challenge_of(authenticator, algorithm=algorithm))) == Accepted(
        "100"
    )


def test_both_algorithms_work_side_by_side():
    authenticator = make()
    for algorithm in (*ALGORITHMS, *ALGORITHMS):
        value = credentials(challenge_of(authenticator, algorithm=algorithm))
        assert check(authenticator, value) == Accepted("100")


def test_wrong_password_and_unknown_user_are_told_apart_by_the_log_alone():
    authenticator = make()
    wrong = check(authenticator, credentials(challenge_of(authenticator), password="guess"))
    unknown = check(authenticator, credentials(challenge_of(authenticator), username="999"))
    assert wrong == Refused(False, "100", "wrong password", is_wrong=True)
    assert unknown == Refused(False, "999", "unknown user", is_wrong=True)


def test_nobody_can_be_the_stand_in_of_unknown_users():
    authenticator = make()
    stand_in = authenticator._nobody
    value = answer(challenge_of(authenticator), "999", stand_in, "REGISTER", URI, nc=1, cnonce="c")
    assert check(authenticator, value) == Refused(False, "999", "unknown user", is_wrong=True)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_unknown_user_takes_the_same_steps_as_a_wrong_password(algorithm, monkeypatch):
    authenticator = make()
    challenge = challenge_of(authenticator, algorithm=algorithm)
    check(authenticator, credentials(challenge))  # H(A2) is remembered from now on
    steps = []

    def watched(name):
        real = getattr(digest, name)

        def step(*arguments):
            steps.append((name, [len(argument) for argument in arguments]))
            return real(*arguments)

        return step

    for name in ("_md5", "sha256", "compare_digest"):
        monkeypatch.setattr(digest, name, watched(name))
    taken = []
    for username in ("100", "999"):
        value = credentials(challenge, username=username, password="guess", nc=2)
        steps.clear()
        assert check(authenticator, value).is_wrong
        taken.append([*steps])
    assert taken[0] == taken[1]
    assert [name for name, _ in taken[0]][-1] == "compare_digest"
    assert len(taken[0]) == 2


LIFE = {
    "at once": (0.0, "accepted"),
    "just before its end": (299.9, "accepted"),
    "at its end": (300.0, "an old nonce"),
    "long after": (1e6, "an old nonce"),
}


@pytest.mark.parametrize(("later", "expected"), LIFE.values(), ids=LIFE)
@pytest.mark.parametrize("used_before", [False, True])
def test_a_nonce_lives_300_seconds(later, expected, used_before):
    authenticator = make()
    challenge = challenge_of(authenticator, 10.0)
    if used_before:
        assert check(authenticator, credentials(challenge), now=10.0) == Accepted("100")
    outcome = check(authenticator, credentials(challenge, nc=2), now=10.0 + later)
    assert outcome == (Accepted("100") if expected == "accepted" else Refused(True, "100", expected))


def test_a_dead_nonce_says_nothing_about_the_password():
    authenticator = make()
    challenge = challenge_of(authenticator)
    outcomes = {
        check(authenticator, credentials(challenge, password=p), now=400.0) for p in (PASSWORD, "guess")
    }
    assert outcomes == {Refused(True, "100", "an old nonce")}


def test_nonces_of_another_run_realm_client_or_forger_are_stale():
    authenticator = make()
    good = challenge_of(authenticator)
    others = {
        "run": challenge_of(Authenticator(REALM, b"another secret ....")).nonce,
        "realm": read_challenges(Authenticator("elsewhere", SECRET).challenge(0.0, client=PHONE))[0].nonce,
        "client": read_challenges(authenticator.challenge(0.0, client="192.0.2.8"))[0].nonce,
        "nobody": read_challenges(authenticator.challenge(0.0))[0].nonce,
        "later": "0000100000" + good.nonce[10:],
        "code": good.nonce[:-1] + ("0" if good.nonce[-1] != "0" else "1"),
        "short": good.nonce[:-1],
        "long": good.nonce + "0",
        "rubbish": "x" * len(good.nonce),
        "not ASCII": "é" * len(good.nonce),
    }
    for what, nonce in others.items():
        outcome = check(authenticator, credentials(replace(good, nonce=nonce)))
        assert outcome == Refused(True, "100", "not a nonce of ours"), what


def test_a_nonce_in_use_stays_bound_to_its_client():
    authenticator = make()
    challenge = challenge_of(authenticator)
    assert check(authenticator, credentials(challenge)) == Accepted("100")
    moved = check(authenticator, credentials(challenge, nc=2), client="192.0.2.8")
    assert moved == Refused(True, "100", "not a nonce of ours")


URIS = {
    "sip:pbx.local": True,
    "sip:PBX.local": True,
    "sip:pbx.local:5060": True,
    "sip:pbx.local;transport=tls": True,
    "sips:pbx.local": True,
    "sip:pbx.local:5080": True,
    "sip:100@pbx.local": False,
    "sip:pbx.example": True,
    "tel:pbx.local": False,
    "pbx.local": False,
    "<sip:pbx.local>": False,
}


@pytest.mark.parametrize(("uri", "is_same"), URIS.items(), ids=URIS)
def test_the_uri_must_be_the_request_uri(uri, is_same):
    authenticator = make()
    outcome = check(authenticator, credentials(challenge_of(authenticator), uri=uri))
    refused = Refused(False, "100", "its uri is not the Request-URI")
    assert outcome == (Accepted("100") if is_same else refused)


def test_a_uri_without_user_stands_for_all_that_is_at_the_server():
    assert is_same_resource("sip:127.0.0.1:5060", "sip:101@pbx.local")
    assert not is_same_resource("sip:102@pbx.local", "sip:101@pbx.local")


def test_uris_of_other_schemes_are_compared_as_text():
    assert is_same_resource("tel:+6531112222", "tel:+6531112222")
    assert not is_same_resource("tel:+6531112222", "tel:+6531112223")


def test_what_was_answered_for_one_method_is_wrong_for_another():
    authenticator = make()
    outcome = check(authenticator, credentials(challenge_of(authenticator), method="INVITE"))
    assert outcome == Refused(False, "100", "wrong password", is_wrong=True)


SPELLINGS = {
    "white space and capitals": lambda v: (
        v.replace("Digest ", "DIGEST\t").replace("=", " = ").replace("nc ", "NC ")
    ),
    "no spaces": lambda v: v.replace(", ", ","),
    "qop, nc and algorithm in quotes": lambda v: (
        v.replace("qop=auth", 'qop="auth"').replace("=MD5", '="md5"').replace("=00000001", '="00000001"')
    ),
    "the response in capitals": lambda v: v.replace(
        v.split('response="')[1][:32], v.split('response="')[1][:32].upper()
    ),
    "unknown parameters": lambda v: v + ', x="1, 2", auts="", userhash=false',
    "a quoted-pair in the user name": lambda v: v.replace('username="100"', r'username="1\00"'),
    "no algorithm, which means MD5": lambda v: v.replace(", algorithm=MD5", ""),
    "a comma at the end": lambda v: v + " , ",
}


@pytest.mark.parametrize("respell", SPELLINGS.values(), ids=SPELLINGS)
def test_spellings_of_the_same_credentials(respell):
    authenticator = make()
    value = respell(credentials(challenge_of(authenticator)))
    assert value != credentials(challenge_of(authenticator))
    assert check(authenticator, value) == Accepted("100")


NONE = Refused(False, None, "no usable credentials")
MALFORMED = Refused(False, None, "a parameter is missing or malformed")
BROKEN = {
    "without qop, as in RFC 2069": (lambda v: v.replace("qop=auth, ", ""), NONE),
    "qop=auth-int": (lambda v: v.replace("qop=auth", "qop=auth-int"), NONE),
    "another algorithm": (lambda v: v.replace("=MD5", "=MD5-sess"), NONE),
    "another realm": (lambda v: v.replace("pbx.local", "elsewhere"), NONE),
    "another scheme": (lambda v: v.replace("Digest", "Bearer"), NONE),
    "a giant value": (lambda v: v + ', x="' + "x" * 5000 + '"', NONE),
    "an open quote": (lambda v: v + ', x="', NONE),
    "no user name": (lambda v: v.replace('username="100", ', ""), MALFORMED),
    "no nonce": (lambda v: v.replace("nonce=", "once=", 1), MALFORMED),
    "no uri": (lambda v: v.replace("uri=", "url="), MALFORMED),
    "no response": (lambda v: v.replace("response=", "reply="), MALFORMED),
    "no cnonce": (lambda v: v.replace("cnonce=", "xnonce="), MALFORMED),
    "no nc": (lambda v: v.replace("nc=00000001", "x=1"), MALFORMED),
    "nc of zero": (lambda v: v.replace("nc=00000001", "nc=00000000"), MALFORMED),
    "a long nc": (lambda v: v.replace("nc=00000001", "nc=000000001"), MALFORMED),
    "nc not hexadecimal": (lambda v: v.replace("nc=00000001", "nc=0000000g"), MALFORMED),
    "text that never came over a wire": (lambda v: v.replace("c0ffee", "\ud800"), MALFORMED),
    "a response that is not ASCII": (
        lambda v: v.replace('response="', 'response="é'),
        Refused(False, "100", "wrong password", is_wrong=True),
    ),
}


@pytest.mark.parametrize(("damage", "expected"), BROKEN.values(), ids=BROKEN)
def test_broken_credentials(damage, expected):
    authenticator = make()
    assert check(authenticator, damage(credentials(challenge_of(authenticator)))) == expected


def test_the_credentials_of_our_realm_are_found_among_others():
    authenticator = make()
    elsewhere = credentials(Challenge("elsewhere", "n"))
    values = [elsewhere, "Basic dTpw", "", credentials(challenge_of(authenticator))]
    assert check(authenticator, *values) == Accepted("100")
    assert check(authenticator) == NONE


# --- nonce counts ------------------------------------------------------------------------------------------


def test_a_replay_is_stale_but_no_wrong_password():
    authenticator = make()
    value = credentials(challenge_of(authenticator))
    assert check(authenticator, value) == Accepted("100")
    assert check(authenticator, value) == Refused(True, "100", "a replay: this nonce count was used")


def test_a_wrong_password_uses_up_no_nonce_count():
    authenticator = make()
    challenge = challenge_of(authenticator)
    assert check(authenticator, credentials(challenge, password="guess", nc=9)).is_wrong
    assert check(authenticator, credentials(challenge, nc=9)) == Accepted("100")


# --- memory ------------------------------------------------------------------------------------------------


def test_over_capacity_a_nonce_is_forgotten_and_cannot_be_replayed():
    authenticator = make(capacity=3)
    values = [credentials(challenge_of(authenticator, moment)) for moment in range(5)]
    assert [check(authenticator, value, now=5.0) for value in values] == [Accepted("100")] * 5
    forgotten = Refused(True, "100", "a nonce that was forgotten")
    assert [check(authenticator, value, now=5.0) for value in values[:2]] == [forgotten] * 2
    assert check(authenticator, values[2], now=5.0) == Refused(
        True, "100", "a replay: this nonce count was used"
    )


def test_wrong_answers_make_nobody_forgotten():
    authenticator = make(capacity=1)
    value = credentials(challenge_of(authenticator), nc=1)
    for _ in range(50):
        check(authenticator, credentials(challenge_of(authenticator), password="guess"))
    assert check(authenticator, value) == Accepted("100")


def test_a_thousand_targets_do_not_fill_the_memory():
    authenticator = make(algorithms=["MD5"])
    challenge = challenge_of(authenticator)
    for number in range(1, 2100):
        uri = f"sip:{number}@pbx.local"
        assert check(authenticator, credentials(challenge, uri=uri, nc=number), uri=uri) == Accepted("100")
    assert len(authenticator._ha2s) <= 1024


# --- properties --------------------------------------------------------------------------------------------

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)


@given(
    NAMES, NAMES, st.sampled_from(ALGORITHMS), st.integers(1, 0xFFFFFFFF), st.sampled_from(["INVITE", "x"])
)
@example('a"b\\', "p", "MD5", 1, "INVITE")
@example("ä, realm=", '"', "SHA-256", 0xFFFFFFFF, "INVITE")
@settings(max_examples=100)
def test_client_and_server_agree(username, password, algorithm, nc, method):
    authenticator = make()
    ha1 = make_ha1(username, REALM, password)
    challenge = challenge_of(authenticator, algorithm=algorithm)
    value = credentials(challenge, username, password, method=method, nc=nc)
    assert check(authenticator, value, method=method, lookup={username: ha1}.get) == Accepted(username)
    wrong = credentials(challenge, username, password + "x", method=method, nc=nc)
    assert check(authenticator, wrong, method=method, lookup={username: ha1}.get).is_wrong


WORDS = (
    'Digest |username="100"|nonce="|realm="pbx.local"|uri="sip:pbx.local"|qop=auth|nc=1|cnonce="c"|response="'
)
FRAGMENTS = st.sampled_from([*WORDS.split("|"), *'=,"\\\t \x00é\ud800\udcff', '\\"', "algorithm=MD5"])


@given(st.lists(FRAGMENTS | st.text(max_size=10), max_size=30).map("".join))
@example("Digest " + "a" * 4000)
@example("Digest " + 'a="' * 1300)
@example("Digest " + "a=\\" * 1300)
@example("Digest " + " , " * 1300)
@settings(max_examples=200)
def test_rubbish_is_refused_and_never_more(value):
    authenticator = make()
    assert isinstance(check(authenticator, value, f"Digest {value}"), Refused)
    assert not read_challenges([value, f"Digest {value}"]) or "realm" in value.lower()


@pytest.mark.parametrize(
    "value",
    ["Digest " + part * (4000 // len(part)) for part in ("a", 'a="', "a ", 'a="\\', ', a="b"', "a=b ", ",")],
)
def test_the_longest_rubbish_costs_no_more_than_its_length(value):
    authenticator = make()
    start = process_time()
    check(authenticator, value)
    read_challenges([value])
    assert process_time() - start < 0.5  # 1 ms is usual


@given(st.integers(0, 49), st.sampled_from("0123456789abcdefX"))
@settings(max_examples=100)
def test_no_character_of_a_nonce_can_be_changed(position, character):
    authenticator = make()
    challenge = challenge_of(authenticator)
    nonce = challenge.nonce[:position] + character + challenge.nonce[position + 1 :]
    outcome = check(authenticator, credentials(replace(challenge, nonce=nonce)))
    assert isinstance(outcome, Accepted) == (nonce == challenge.nonce)


def test_each_half_of_a_pair_is_of_use_for_its_algorithm_only():
    only = {
        "MD5": Ha1Pair(KNOWN["100"].md5, "0" * 64),
        "SHA-256": Ha1Pair("0" * 32, KNOWN["100"].sha256),
    }
    for stored, used in product(ALGORITHMS, ALGORITHMS):
        authenticator = make()
        value = credentials(challenge_of(authenticator, algorithm=used))
        outcome = check(authenticator, value, lookup={"100": only[stored]}.get)
        assert isinstance(outcome, Accepted) == (stored == used)
