import pytest

from pbx.store.passwords import Passwords

CHEAP = Passwords(n=2**4)


def test_a_password_is_verified_by_its_hash_and_no_other_is():
    stored = CHEAP.hash("4321")
    assert CHEAP.verify("4321", stored)
    assert not CHEAP.verify("4322", stored)


def test_the_hash_says_how_it_was_made_and_nothing_of_the_password():
    name, n, r, p, salt, key = Passwords().hash("correct horse").split("$")
    assert (name, n, r, p) == ("scrypt", "16384", "8", "1")
    assert len(salt) == 24
    assert len(key) == 44


def test_the_same_password_has_a_new_salt_each_time():
    assert CHEAP.hash("4321") != CHEAP.hash("4321")


def test_with_the_salt_of_another_hash_equal_texts_have_equal_hashes():
    first = CHEAP.hash("4321")
    assert Passwords().hash("4321", like=first) == first
    assert CHEAP.hash("4322", like=first) != first


def test_a_hash_made_at_another_cost_stays_valid():
    assert Passwords().verify("4321", CHEAP.hash("4321"))


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "4321",
        "scrypt",
        "bcrypt$16$8$1$AAAA$AAAA",
        "scrypt$16$8$1$AA=A$AAAA",
        "scrypt$x$8$1$AAAA$AAAA",
        "scrypt$3$8$1$AAAA$AAAA",
        "scrypt$1048576$8$1$AAAA$AAAA",
        "scrypt$16$8$1$ä$AAAA",
    ],
)
def test_what_is_no_hash_matches_nothing(stored):
    assert not CHEAP.verify("4321", stored)


def test_any_text_can_be_a_password():
    for text in ("", "ä", "日本" * 100, "\x00"):
        assert CHEAP.verify(text, CHEAP.hash(text))
