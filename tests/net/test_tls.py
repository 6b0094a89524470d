"""Our certificate: made once, private, complete, and read again when its files change."""

import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from OpenSSL import crypto
from twisted.logger import capturedLogs

from pbx.errors import ConfigError
from pbx.net import tls
from pbx.net.tls import ServerCertificate, TrustedServers, Watched, ensure_certificate, make_self_signed

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
NAMES = ["pbx.local", "192.0.2.5", "2001:db8::5", "büro.example", "pbx.local", "", "x" * 70 + ".example"]


@pytest.fixture(scope="module")
def pair():
    """One certificate for all: making a key costs a tenth of a second."""
    return make_self_signed(NAMES, NOW)


@pytest.fixture(scope="module")
def other():
    return make_self_signed(["other.example"], NOW)


def write(folder, pair):
    (folder / "c.pem").write_bytes(pair[0])
    (folder / "k.pem").write_bytes(pair[1])
    return folder / "c.pem", folder / "k.pem"


def test_the_certificate_names_us_and_lasts(pair):
    certificate = x509.load_pem_x509_certificate(pair[0])
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["pbx.local", "xn--bro-hoa.example"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("192.0.2.5"), ip_address("2001:db8::5")]
    assert certificate.not_valid_before_utc < NOW
    assert certificate.not_valid_after_utc >= NOW + timedelta(days=3650)
    assert certificate.subject == certificate.issuer


def test_several_servers_of_one_name_can_be_trusted():
    """Every PBX calls itself pbx.local at first; a trunk's other end must not be taken for another one."""
    pairs = [make_self_signed(["pbx.local"], datetime.now(UTC)) for _ in range(3)]
    certificates = [crypto.load_certificate(crypto.FILETYPE_PEM, certificate) for certificate, _ in pairs]
    trusted = crypto.X509Store()
    for each in certificates:
        trusted.add_cert(each)
    for each in certificates:
        crypto.X509StoreContext(trusted, each).verify_certificate()


def test_it_is_made_once_and_its_key_is_private(tmp_path):
    folder = tmp_path / "data" / "certificates"
    paths = ensure_certificate(folder, lambda: ["pbx.local"], NOW)
    before = [path.read_bytes() for path in paths]
    assert stat.S_IMODE(paths[1].stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert ensure_certificate(folder, lambda: pytest.fail("asked again"), NOW) == paths
    assert [path.read_bytes() for path in paths] == before
    assert sorted(path.name for path in folder.iterdir()) == ["sip.key", "sip.pem"]


@pytest.mark.parametrize("broken", ["sip.pem", "sip.key"])
def test_half_a_pair_is_made_anew(tmp_path, broken):
    paths = ensure_certificate(tmp_path, lambda: ["pbx.local"], NOW)
    (tmp_path / broken).unlink()
    ensure_certificate(tmp_path, lambda: ["pbx.local"], NOW)
    ServerCertificate(*paths)


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(ConfigError, match=r"server\.data"):
        ensure_certificate(tmp_path / "data" / "certificates", lambda: ["pbx.local"], NOW)


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "file"
    tls.write_private(path, b"old")
    monkeypatch.setattr(tls.os, "fsync", lambda _fd: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        tls.write_private(path, b"new")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def encrypted(pair):
    key = serialization.load_pem_private_key(pair[1], None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )


UNUSABLE = {
    "no certificate file": (lambda c, _k, _p, _o: c.unlink(), "sip.certificate", "No such file"),
    "no key file": (lambda _c, k, _p, _o: k.unlink(), "sip.private_key", "No such file"),
    "no certificate in it": (lambda c, _k, _p, _o: c.write_bytes(b"x"), "sip.certificate", "PEM"),
    "no key in it": (lambda _c, k, _p, _o: k.write_bytes(b"x"), "sip.certificate", "no private key"),
    "another one's key": (lambda _c, k, _p, o: k.write_bytes(o[1]), "sip.certificate", "not the one"),
    "a passphrase": (lambda _c, k, p, _o: k.write_bytes(encrypted(p)), "sip.certificate", "passphrase"),
}


@pytest.mark.parametrize(("spoil", "key", "words"), UNUSABLE.values(), ids=UNUSABLE)
def test_files_that_cannot_be_used_are_a_clear_error(tmp_path, pair, other, spoil, key, words):
    paths = write(tmp_path, pair)
    spoil(*paths, pair, other)
    with pytest.raises(ConfigError, match=words) as caught:
        ServerCertificate(*paths)
    assert caught.value.key == key


@pytest.mark.parametrize(("age", "levels"), [(0, []), (3654, ["warn"])], ids=["valid", "expired"])
def test_an_expired_certificate_is_used_and_complained_of(tmp_path, age, levels):
    """A call by a phone that does not check it is better than none."""
    paths = write(tmp_path, make_self_signed(["pbx.local"], datetime.now(UTC) - timedelta(days=age)))
    with capturedLogs() as logs:
        ServerCertificate(*paths)
    assert [each["log_level"].name for each in logs] == levels


def test_certificate_and_key_may_be_one_file(tmp_path, pair):
    both = tmp_path / "both.pem"
    both.write_bytes(pair[1] + pair[0])
    assert ServerCertificate(both, both).expires > NOW


def test_a_changed_certificate_is_in_force_at_the_next_connection(tmp_path, pair, other):
    paths = write(tmp_path, pair)
    ours = ServerCertificate(*paths)

    def shown():
        connection = ours.serverConnectionForTLS(None)
        return connection.get_certificate(as_cryptography=True).public_bytes(serialization.Encoding.PEM)

    assert shown() == pair[0]
    with capturedLogs() as logs:
        paths[0].write_bytes(other[0])  # its key is not there yet
        assert [shown(), shown()] == [pair[0], pair[0]]
    assert [each["log_level"].name for each in logs] == ["warn"]
    paths[1].write_bytes(other[1])
    assert shown() == other[0]
    paths[0].unlink()
    assert shown() == other[0]


def test_old_versions_and_weak_ciphers_are_not_offered(tmp_path, pair):
    connection = ServerCertificate(*write(tmp_path, pair)).serverConnectionForTLS(None)
    ciphers = connection.get_cipher_list()
    assert ciphers
    assert all(cipher.startswith(("TLS_", "ECDHE-", "DHE-")) for cipher in ciphers)
    assert not [cipher for cipher in ciphers if "NULL" in cipher or "RC4" in cipher or "DES" in cipher]


def test_trusted_authorities_must_be_certificates(tmp_path, pair):
    path = tmp_path / "ca.pem"
    for content in (None, b"", b"rubbish"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            TrustedServers(path)
        assert caught.value.key == "sip.trusted_ca"
    path.write_bytes(pair[0])
    assert TrustedServers(path).expect("pbx.local") is not None
    assert TrustedServers(None).expect("192.0.2.1") is not None


def test_watched_files_are_read_only_when_they_change(tmp_path):
    path = tmp_path / "file"
    path.write_text("1")
    reads = []

    def load():
        reads.append(path.read_text())
        return int(reads[-1])

    watched = Watched([path], load)
    assert [watched.get(), watched.get()] == [1, 1]
    path.write_text("22")
    assert watched.get() == 22
    path.write_text("none")
    with capturedLogs() as logs:
        assert [watched.get(), watched.get()] == [22, 22]
    assert len(logs) == 1
    assert reads == ["1", "22", "none"]
