"""Certificates: our own, made when there is none and read again when it changes, and the ones we trust."""

import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL, crypto
from twisted.internet import ssl
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer  # type: ignore[import-untyped]  # ships no types

from pbx.errors import ConfigError
from pbx.net.addresses import parse_ip

# Forward secrecy always (RFC 9325 §4.2); CBC suites stay for desk phones of the TLS 1.2 generation.
CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:!aNULL:!eNULL:!MD5:!DSS"
LIFE: Final = timedelta(days=3653)
KEY_BITS: Final = 2048  # RSA: older desk phones know nothing else
CERTIFICATE_FILE: Final = "sip.pem"
KEY_FILE: Final = "sip.key"

SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Value = TypeVar("Value")
Stamp = tuple[tuple[int, int, int], ...]

log: Final = Logger()


def make_self_signed(names: Iterable[str], now: datetime) -> tuple[bytes, bytes]:
    """A certificate that says that we are `names` (hosts or addresses, the subject first), and its key.

    Args:
        names: at least one; duplicates and names that no certificate can hold are left out.
        now: an aware time; the certificate is valid from a day before it, for LIFE.

    Returns:
        Certificate and private key, both PEM.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    # RFC 5280 §4.2.1.1: who trusts several of one name can tell which of them it is.
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id)
    wanted = list(dict.fromkeys(name for name in names if name))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wanted[0][:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName(_general_names(wanted)), critical=False)
        .add_extension(key_id, critical=False)
        .add_extension(issuer_id, critical=False)
        # A phone's user may import it as trusted: it is its own authority, and for nothing but itself.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


def _general_names(names: Iterable[str]) -> list[x509.GeneralName]:
    general: list[x509.GeneralName] = []
    for name in names:
        if (address := parse_ip(name)) is not None:
            general.append(x509.IPAddress(ip_address(str(address))))
            continue
        try:
            general.append(x509.DNSName(name.encode("idna").decode("ascii")))
        except (UnicodeError, ValueError):
            log.debug("{name} cannot stand in a certificate", name=name)
    return general


def ensure_certificate(folder: Path, names: Callable[[], Iterable[str]], now: datetime) -> tuple[Path, Path]:
    """The self-signed certificate and key under `folder`; made when they are not there, or no pair.

    Raises:
        ConfigError: the folder cannot be written.
    """
    certificate, key = folder / CERTIFICATE_FILE, folder / KEY_FILE
    try:
        load_own(certificate, key)
    except (OSError, ValueError):
        pass  # none yet, or half of one: made below
    else:
        return certificate, key
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        certificate_pem, key_pem = make_self_signed(names(), now)
        write_private(key, key_pem)
        write_private(certificate, certificate_pem, mode=0o644)
    except OSError as error:
        raise ConfigError(
            "server.data", str(folder), f"the certificate cannot be written there: {error.strerror}"
        ) from error
    log.info("made a self-signed certificate: {path}", path=str(certificate))
    return certificate, key


def write_private(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace `path` at once and whole; from its first moment on nobody else can read it (by default)."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


class Watched(Generic[Value]):
    """Something read from files, read again when they change; a broken change keeps what there was."""

    def __init__(self, paths: Iterable[Path], load: Callable[[], Value]) -> None:
        self._paths, self._load = tuple(paths), load
        self._stamp = self._look()
        self._value = load()

    def get(self) -> Value:
        """The value by the files as they are now (one stat a file)."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._value = self._load()
            except (OSError, ValueError, ConfigError) as error:
                log.warn("{path} is kept as it was: {why}", path=str(self._paths[0]), why=str(error))
            else:
                log.info("read {path} again", path=str(self._paths[0]))
        return self._value

    def _look(self) -> Stamp:
        return tuple(_stamp(path) for path in self._paths)


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)


@implementer(IOpenSSLServerConnectionCreator)
class ServerCertificate:
    """Our own certificate for those who connect; a changed file is in force at the next handshake.

    Args:
        certificate: PEM, ours first, then its chain.
        key: PEM without passphrase; may be the same file.

    Raises:
        ConfigError: one of the files cannot be used.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        def load() -> tuple[SSL.Context, datetime]:
            chain, private = load_own(certificate, key)
            end = chain[0].not_valid_after_utc
            if end < datetime.now(UTC):
                log.warn(
                    "{path} expired on {day}: phones that check it refuse",
                    path=str(certificate),
                    day=end.date(),
                )
            return _make_context(chain, private), end

        try:
            self._current = Watched((certificate, key), load)
        except (OSError, ValueError) as error:
            name = (
                "sip.private_key"
                if getattr(error, "filename", None) == str(key) != str(certificate)
                else None
            )
            raise ConfigError(
                name or "sip.certificate",
                str(key if name else certificate),
                f"{_plain(error)}; give a PEM file that this user can read, "
                'or "" to have a self-signed certificate made',
            ) from error

    @property
    def expires(self) -> datetime:
        """The end of its validity, an aware time."""
        return self._current.get()[1]

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802, N803, ARG002
        """A connection with the certificate in force (Twisted asks at each new connection)."""
        return SSL.Connection(self._current.get()[0], None)


class TrustedServers:
    """Verifies the servers that we connect to.

    Args:
        trusted_ca: PEM with the authorities to trust, or None for those that the system trusts.
        key: what the setting is called in pbx.toml.

    Raises:
        ConfigError: the file cannot be used.
    """

    def __init__(self, trusted_ca: Path | None, key: str = "sip.trusted_ca") -> None:
        self._ciphers = ssl.AcceptableCiphers.fromOpenSSLCipherString(CIPHERS.decode())  # type: ignore[no-untyped-call]  # Twisted's
        self._authorities: Watched[list[ssl.Certificate]] | None = None
        if trusted_ca is None:
            return
        path = trusted_ca

        def load() -> list[ssl.Certificate]:
            found = x509.load_pem_x509_certificates(path.read_bytes())
            return [ssl.Certificate(crypto.X509.from_cryptography(each)) for each in found]  # type: ignore[no-untyped-call]  # Twisted's

        try:
            self._authorities = Watched((path,), load)
        except (OSError, ValueError) as error:
            raise ConfigError(
                key, str(path), f'{_plain(error)}; give a PEM file with certificates, or ""'
            ) from error

    def expect(self, name: str) -> IOpenSSLClientConnectionCreator:
        """Makes connections to a server that must prove to be `name`, host or address (RFC 5922)."""
        extra = {"raiseMinimumTo": ssl.TLSVersion.TLSv1_2, "acceptableCiphers": self._ciphers}
        return ssl.optionsForClientTLS(name, trustRoot=self._trust(), extraCertificateOptions=extra)

    def _trust(self) -> Any:
        root: Any = (
            ssl.platformTrust()  # type: ignore[no-untyped-call]  # Twisted's
            if self._authorities is None
            else ssl.trustRootFromCertificates(self._authorities.get())  # type: ignore[no-untyped-call]  # Twisted's
        )
        return root


def load_own(certificate: Path, key: Path) -> tuple[list[x509.Certificate], SigningKey]:
    """Our chain and its key.

    Raises:
        OSError: a file cannot be read.
        ValueError: it holds something else, or the key is another certificate's.
    """
    try:
        chain = x509.load_pem_x509_certificates(certificate.read_bytes())
    except ValueError as error:
        raise ValueError(f"there is no certificate in {certificate}") from error
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except TypeError as error:
        raise ValueError(f"the key in {key} has a passphrase") from error
    except ValueError as error:
        raise ValueError(f"there is no private key in {key}") from error
    if not isinstance(private, SigningKey):
        raise ValueError(f"the key in {key} is of a kind that TLS cannot use")
    if chain[0].public_key() != private.public_key():
        raise ValueError(f"the key in {key} is not the one of the certificate in {certificate}")
    return chain, private


def _make_context(chain: list[x509.Certificate], private: SigningKey) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    context.set_cipher_list(CIPHERS)
    context.set_session_id(b"pbx")
    context.use_privatekey(private)
    context.use_certificate(chain[0])
    for issuer in chain[1:]:
        context.add_extra_chain_cert(issuer)
    return context


def _plain(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
