"""What a value in our two TOML files may be: each kind reads one plain TOML value, or says what is allowed.

A kind stands in the annotation of the field that it describes (`Annotated[int, Whole(5, 60)]`), perhaps with
one of the `marks`; `table` reads and writes whole dataclasses by these annotations. Types are strict: true is
no integer, 3 is no string.
"""

import datetime
import difflib
import ipaddress
import re
import zoneinfo
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol
from urllib.parse import urlsplit

import phonenumbers

from pbx.errors import PbxError
from pbx.languages import VOICES

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class NotAllowedError(PbxError):
    """A value that a kind does not take: what it takes instead, and the nearest known value."""

    def __init__(self, allowed: str, nearest: str | None = None) -> None:
        super().__init__(allowed)
        self.allowed = allowed
        self.nearest = nearest


class Kind(Protocol):
    """One sort of value."""

    def read(self, raw: object) -> object:
        """The value as we keep it, in its one normal form.

        Raises:
            NotAllowedError: it is none of this kind.
        """
        ...


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be, if any is near."""
    by_folded = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


@dataclass(frozen=True, slots=True)
class Flag:
    def read(self, raw: object) -> bool:
        if not isinstance(raw, bool):
            raise NotAllowedError("true or false")
        return raw


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    options: tuple[str, ...]

    def read(self, raw: object) -> str:
        if not isinstance(raw, str) or raw not in self.options:
            words = " | ".join(f'"{option}"' for option in self.options)
            raise NotAllowedError(words, nearest(str(raw), self.options))
        return raw


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `low` to `high`."""

    low: int
    high: int
    unit: str = ""

    def read(self, raw: object) -> int:
        if isinstance(raw, bool) or not isinstance(raw, int) or not self.low <= raw <= self.high:
            raise NotAllowedError(
                f"a whole number from {self.low} to {self.high}{self.unit and ' ' + self.unit}"
            )
        return raw


@dataclass(frozen=True, slots=True)
class Amount:
    """Money, not negative; kept as a decimal so that sums are exact."""

    def read(self, raw: object) -> Decimal:
        value = Decimal(raw) if isinstance(raw, int) and not isinstance(raw, bool) else raw
        if not isinstance(value, Decimal) or not value.is_finite() or not 0 <= value < 10**9:
            raise NotAllowedError("a number from 0 to 999999999, such as 0.12")
        exact = value.quantize(Decimal("0.000001"))
        if exact != value:
            raise NotAllowedError("a number with at most 6 decimals")
        return exact


@dataclass(frozen=True, slots=True)
class Day:
    """A date without a time."""

    def read(self, raw: object) -> datetime.date:
        if type(raw) is not datetime.date:
            raise NotAllowedError("a date without quotes, such as 2026-12-25")
        return raw


@dataclass(frozen=True, slots=True)
class Text:
    """A string of at most `limit` characters without control characters, of a pattern where there is one."""

    limit: int = 200
    pattern: str = ""
    allowed: str = ""
    empty: bool = True
    lines: bool = False

    def read(self, raw: object) -> str:
        if not isinstance(raw, str):
            raise NotAllowedError(self._describe())
        if raw == "" and self.empty:
            return raw
        if raw == "" or len(raw) > self.limit or not self._is_clean(raw):
            raise NotAllowedError(self._describe())
        if self.pattern and not re.fullmatch(self.pattern, raw, re.ASCII):
            raise NotAllowedError(self._describe())
        return raw

    def _is_clean(self, text: str) -> bool:
        extra = "\n\t" if self.lines else ""
        return all(char.isprintable() or char in extra for char in text)

    def _describe(self) -> str:
        what = (
            self.allowed or f"a string of at most {self.limit} characters, none of them a control character"
        )
        return what + (', or ""' if self.empty and self.allowed else "")


@dataclass(frozen=True, slots=True)
class Key:
    """What an extension, a group or a room is dialled by; codes begin with 0, * or #."""

    def fits(self, text: str) -> bool:
        """Whether this is one."""
        return re.fullmatch(r"[1-9][0-9]{1,5}", text, re.ASCII) is not None

    def read(self, raw: object) -> str:
        if not isinstance(raw, str) or not self.fits(raw):
            is_code = isinstance(raw, str) and raw.startswith(("0", "*", "#"))
            hint = "; what begins with 0, * or # is a code ([office.codes])" if is_code else ""
            raise NotAllowedError("2 to 6 digits, the first 1 to 9" + hint)
        return raw


def _squeeze(number: str) -> str:
    """Without what people write between the digits."""
    return re.sub(r"[ ().\-/]", "", number)


@dataclass(frozen=True, slots=True)
class E164:
    """An outside number: `+`, country code, national number; of a length that exists in that country."""

    empty: bool = True

    def read(self, raw: object) -> str:
        allowed = 'a number as "+", country code and digits, such as "+6560001000"' + (
            ', or ""' if self.empty else ""
        )
        if raw == "" and self.empty:
            return ""
        if not isinstance(raw, str):
            raise NotAllowedError(allowed)
        if re.fullmatch(r"\+[1-9][0-9]{6,14}", raw) is None:
            squeezed = _squeeze(raw)
            hint = squeezed if squeezed != raw and re.fullmatch(r"\+[1-9][0-9]{6,14}", squeezed) else None
            raise NotAllowedError(allowed, hint)
        try:
            number = phonenumbers.parse(raw)
        except phonenumbers.NumberParseException:
            raise NotAllowedError(f"{allowed}; no country has this code") from None
        if not phonenumbers.is_possible_number(number):
            raise NotAllowedError(f"{allowed}; no number of +{number.country_code} has this many digits")
        return raw


@dataclass(frozen=True, slots=True)
class WrittenNumber:
    """An outside number as people write it, also nationally; kept without what is between the digits."""

    def read(self, raw: object) -> str:
        squeezed = _squeeze(raw) if isinstance(raw, str) else ""
        if squeezed.startswith("+"):
            return E164(empty=False).read(squeezed)
        if re.fullmatch(r"[0-9]{7,18}", squeezed, re.ASCII) is None:
            raise NotAllowedError('a number such as "+6531234567" or "3123 4567"')
        return squeezed


@dataclass(frozen=True, slots=True)
class Country:
    """An ISO 3166 code of two capital letters."""

    empty: bool = False

    def read(self, raw: object) -> str:
        if raw == "" and self.empty:
            return ""
        if not isinstance(raw, str) or raw not in phonenumbers.SUPPORTED_REGIONS:
            known = phonenumbers.SUPPORTED_REGIONS
            near = str(raw).upper() if str(raw).upper() in known else None
            allowed = 'the ISO code of a country, such as "SG"' + (', or ""' if self.empty else "")
            raise NotAllowedError(allowed, near)
        return raw


@dataclass(frozen=True, slots=True)
class Timezone:
    """A name of the IANA time zone database."""

    def read(self, raw: object) -> str:
        if isinstance(raw, str) and raw:
            try:
                zoneinfo.ZoneInfo(raw)
            except (ValueError, KeyError, OSError):
                pass
            else:
                return raw
        near = nearest(raw, zoneinfo.available_timezones()) if isinstance(raw, str) else None
        raise NotAllowedError('a time zone\'s name, such as "Asia/Singapore" or "UTC"', near)


@dataclass(frozen=True, slots=True)
class Email:
    """A mail address; kept in lower case, so that it is found however it is written."""

    empty: bool = False

    def read(self, raw: object) -> str:
        if raw == "" and self.empty:
            return ""
        pattern = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*"
        if not isinstance(raw, str) or len(raw) > 254 or re.fullmatch(pattern, raw) is None:
            raise NotAllowedError(
                'a mail address, such as "ann@acme.example"' + (', or ""' if self.empty else "")
            )
        return raw.lower()


@dataclass(frozen=True, slots=True)
class Mac:
    """A hardware address; kept in lower case with colons."""

    def read(self, raw: object) -> str:
        if raw == "":
            return ""
        if not isinstance(raw, str) or re.fullmatch(r"[0-9A-Fa-f]{2}([:-]?[0-9A-Fa-f]{2}){5}", raw) is None:
            raise NotAllowedError('a hardware address, such as "00:15:65:aa:bb:cc", or ""')
        digits = raw.replace(":", "").replace("-", "").lower()
        return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address or network."""

    def read(self, raw: object) -> str:
        near = None
        if isinstance(raw, str):
            try:
                ipaddress.ip_network(raw)
            except ValueError:
                near = loose_network(raw)
            else:
                return raw
        raise NotAllowedError('an IP address or network, such as "192.0.2.1" or "10.0.0.0/8"', near)


def loose_network(text: str) -> str | None:
    """The network that an address with a mask was probably meant to be: 10.0.0.0/8 for 10.0.0.1/8."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class WebAddress:
    def read(self, raw: object) -> str:
        if isinstance(raw, str) and raw.isprintable() and " " not in raw and len(raw) <= 2000:
            try:
                parts = urlsplit(raw)
                port = parts.port
            except ValueError:
                parts, port = None, None
            if parts is not None and parts.scheme in ("http", "https") and parts.hostname and port != 0:
                return raw
        raise NotAllowedError('a web address, such as "https://crm.acme.example/call"')


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression over the digits keyed."""

    def read(self, raw: object) -> str:
        if isinstance(raw, str) and 0 < len(raw) <= 200:
            try:
                re.compile(raw)
            except (re.error, RecursionError, OverflowError):
                pass
            else:
                return raw
        raise NotAllowedError('a regular expression of at most 200 characters, such as "1[0-9]{2}"')


@dataclass(frozen=True, slots=True)
class Weekdays:
    """Days and ranges of days: `mon-fri`, `sat,sun`, `fri-mon`."""

    def read(self, raw: object) -> str:
        day = "|".join(DAYS)
        if (
            not isinstance(raw, str)
            or re.fullmatch(rf"({day})(-({day}))?(, ?({day})(-({day}))?)*", raw) is None
        ):
            raise NotAllowedError('days such as "mon-fri" or "sat,sun"; the days are ' + " ".join(DAYS))
        return raw.replace(" ", "")


@dataclass(frozen=True, slots=True)
class OneOf:
    """Any of several kinds, such as a number or an extension's key."""

    kinds: Sequence[Kind]
    allowed: str

    def read(self, raw: object) -> object:
        for kind in self.kinds:
            try:
                return kind.read(raw)
            except NotAllowedError:
                continue
        raise NotAllowedError(self.allowed)


@dataclass(frozen=True, slots=True)
class Language:
    """A language that some voice speaks; its country in capitals."""

    def read(self, raw: object) -> str:
        if not isinstance(raw, str) or raw not in VOICES:
            near = nearest(raw, VOICES) if isinstance(raw, str) else None
            raise NotAllowedError("a language that there is a voice for: " + " ".join(sorted(VOICES)), near)
        return raw


@dataclass(frozen=True, slots=True)
class SipServer:
    """A carrier's address: `sip:` or `sips:`, a host, and where wanted a port and a transport that exists."""

    def read(self, raw: object) -> str:
        found = re.fullmatch(SIP_SERVER_PATTERN, raw, re.ASCII) if isinstance(raw, str) else None
        if found is None or not self._is_there(found):
            raise NotAllowedError(
                'a SIP address such as "sip:sip.carrier.example:5060;transport=udp" (or tcp, tls)'
            )
        return found[0]

    def _is_there(self, found: re.Match[str]) -> bool:
        transports = re.findall(r";transport=([^;]*)", found[0].lower())
        if len(found[0]) > 300 or int(found["port"] or 5060) > 65535:
            return False
        return transports in ([], ["udp"], ["tcp"], ["tls"]) and (not found["v6"] or _is_v6(found["v6"]))


def _is_v6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


SIP_SERVER_PATTERN = (
    r"sips?:([A-Za-z0-9]([A-Za-z0-9.\-]*[A-Za-z0-9])?|\[(?P<v6>[0-9A-Fa-f:.]+)\])"
    r"(:(?P<port>[1-9][0-9]{0,4}))?(;[A-Za-z]+=[A-Za-z0-9.\-]+)*"
)
LABEL = Text(100)
NAME = Text(
    64,
    r"[A-Za-z0-9][A-Za-z0-9 _.\-]*",
    "a name of at most 64 letters, digits, space, _ . or -, a letter or digit first",
    empty=False,
)
NAME_OR_NONE = Text(64, NAME.pattern, NAME.allowed)
KEY = Key()
PIN = Text(10, r"[0-9]{4,10}", "4 to 10 digits")
PASSWORD = Text(128, allowed="1 to 128 characters, none of them a control character", empty=False)
USERNAME = Text(
    64,
    r"[A-Za-z0-9][A-Za-z0-9_.\-]*",
    "1 to 64 letters, digits, _ . or -, a letter or digit first",
    empty=False,
)
LANGUAGE = Language()
DIGITS = Text(20, r"[0-9]{1,20}", "1 to 20 digits")
CLOCK = Text(5, r"([01][0-9]|2[0-3]):[0-5][0-9]", 'a time of day as "HH:MM", 00:00 to 23:59', empty=False)
NUMBER_PATTERN = Text(
    20,
    r"\+?[0-9]{1,18}\*?",
    'a number such as "+6531234567", or its first digits and *: "+1900*"',
    empty=False,
)
SIP_SERVER = SipServer()
CODECS = ("PCMA", "PCMU", "G722", "OPUS", "G729", "GSM", "ILBC", "SPEEX")
