"""Digest on our own requests: what is answered, once for each nonce, and what is not (RFC 3261 §22)."""

from hashlib import md5, sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.sip.credentials import MOST_ANSWERS, Credentials
from pbx.sip.digest import ALGORITHMS, Accepted, Authenticator, make_ha1
from tests.support.messages import make_answer, make_request, read_credentials

REALM = "carrier.example"
SECRET = bytes(range(32))


def challenge(nonce, *, realm=REALM, status=401, stale=False, algorithm="MD5", qop='qop="auth", '):
    name = "WWW_Authenticate" if status == 401 else "Proxy_Authenticate"
    end = ", stale=true" if stale else ""
    value = f'Digest realm="{realm}", nonce="{nonce}", {qop}algorithm={algorithm}{end}'
    return make_answer(make_request(), status, **{name: value})


CASES = {
    "a nonce is answered": ([challenge("a")], [True]),
    "the same again is a wrong password": ([challenge("a"), challenge("a")], [True, False]),
    "another nonce is one too": ([challenge("a"), challenge("b")], [True, False]),
    "a stale nonce is replaced": ([challenge("a"), challenge("b", stale=True)], [True, True]),
    "but not by itself": ([challenge("a"), challenge("a", stale=True)], [True, False]),
    "a proxy and then the server, of one realm": (
        [challenge("a", status=407), challenge("b")],
        [True, True],
    ),
    "two realms, one after the other": ([challenge("a"), challenge("b", realm="other")], [True, True]),
    "always stale comes to an end": (
        [challenge(str(n), stale=True) for n in range(MOST_ANSWERS + 1)],
        [True] * MOST_ANSWERS + [False],
    ),
    "no algorithm that we know": ([challenge("a", algorithm="SHA-512-256")], [False]),
    "no challenge at all": ([make_answer(make_request(), 401)], [False]),
}


@pytest.mark.parametrize(("responses", "expected"), CASES.values(), ids=CASES)
def test_which_challenges_one_request_answers(responses, expected):
    credentials, answered = Credentials("acme", "secret"), set()
    assert [credentials.take(each, answered) for each in responses] == expected


def test_the_next_request_tries_again_after_a_wrong_password_but_carries_nothing_at_first():
    credentials, answered = Credentials("acme", "secret"), set()
    assert credentials.take(challenge("a"), answered)
    assert not credentials.take(challenge("b"), answered)
    request = make_request("REGISTER")
    credentials.authorize(request, "c")
    assert request.headers.get("Authorization") is None
    assert credentials.take(challenge("c"), set())


def test_later_requests_of_the_dialog_carry_the_answer_at_once_and_count():
    credentials = Credentials("acme", "secret")
    credentials.take(challenge("a", status=407), set())
    counts = []
    for method in ("INVITE", "BYE"):
        request = make_request(method)
        credentials.authorize(request, "cnonce")
        assert len(request.headers.get_all("Proxy-Authorization")) == 1
        counts.append(read_credentials(request.headers.get("Proxy-Authorization"))["nc"])
        credentials.authorize(request, "cnonce")  # a second time replaces the first
        assert len(request.headers.get_all("Proxy-Authorization")) == 1
    assert counts == ["00000001", "00000003"]


def test_the_strongest_algorithm_of_a_realm_whatever_comes_first():
    response = challenge("m")
    response.headers.add(
        "WWW-Authenticate", f'Digest realm="{REALM}", nonce="s", algorithm=SHA-256, qop="auth"'
    )
    credentials, request = Credentials("acme", "secret"), make_request()
    assert credentials.take(response, set())
    credentials.authorize(request, "c")
    (value,) = request.headers.get_all("Authorization")
    assert read_credentials(value)["algorithm"] == "SHA-256"


@pytest.mark.parametrize("algorithm", ["MD5-sess", "SHA-256-sess"])
def test_a_session_keeps_the_cnonce_of_its_beginning(algorithm):
    hashed = md5 if algorithm == "MD5-sess" else sha256

    def digest(text):
        return hashed(text.encode()).hexdigest()

    credentials = Credentials("acme", "secret")
    assert credentials.take(challenge("a", algorithm=algorithm), set())
    for nc in ("00000001", "00000002"):
        request = make_request()
        credentials.authorize(request, f"c{nc}")
        said = read_credentials(request.headers.get("Authorization"))
        a1 = f"{digest(f'acme:{REALM}:secret')}:a:c00000001"  # RFC 7616 §3.4.2
        a2 = digest(f"{request.method}:{request.uri}")
        assert (said["algorithm"], said["nc"], said["cnonce"]) == (algorithm, nc, "c00000001")
        assert said["response"] == digest(f"{digest(a1)}:a:{nc}:c00000001:auth:{a2}")


def test_a_session_needs_a_cnonce_and_so_a_qop():
    assert not Credentials("acme", "secret").take(challenge("a", algorithm="MD5-sess", qop=""), set())


def test_integrity_covers_the_body():
    credentials = Credentials("acme", "secret")
    assert credentials.take(challenge("a", qop='qop="auth-int", '), set())
    values = []
    for body in (b"one", b"other"):
        request = make_request("INVITE", body=body)
        credentials.authorize(request, "c")
        values.append(read_credentials(request.headers.get("Authorization")))
    assert [value["qop"] for value in values] == ["auth-int"] * 2
    assert values[0]["response"] != values[1]["response"]


def test_nothing_shows_the_password():
    assert "secret" not in repr(Credentials("acme", "secret"))


text = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(username=text, password=text, algorithm=st.sampled_from(ALGORITHMS), requests=st.integers(1, 4))
def test_a_server_takes_what_we_answer(username, password, algorithm, requests):
    server = Authenticator(REALM, SECRET)
    credentials = Credentials(username, password)
    response = make_answer(make_request(), 401)
    for value in server.challenge(0.0, algorithms=[algorithm]):
        response.headers.add("WWW-Authenticate", value)
    assert credentials.take(response, set())
    known = {username: make_ha1(username, REALM, password)}
    for number in range(requests):
        request = make_request("INVITE", body=b"v=0")
        credentials.authorize(request, f"c{number}")
        values = request.headers.get_all("Authorization")
        assert server.check("INVITE", values, known.get, 1.0, request.uri) == Accepted(username)
