"""Header fields in their order (RFC 3261 §7.3): a list of raw texts, and a dict of each name's first value.

Nothing is parsed before it is asked for. Known names have one spelling, so finding one is one dict access.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from pbx.errors import UsageError
from pbx.sip.grammar import MalformedMessageError, is_token, split_commas

Extra = Sequence[tuple[str, str]]  # header fields by name and value, beside those that are there anyway

# RFC 3261 §7.3.3, §20; 3265, 3515, 3841, 3892, 4028, 4474: the forms of one letter.
COMPACT: Final[dict[str, str]] = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}

KNOWN: Final = frozenset(
    """
    Accept Accept-Contact Accept-Encoding Accept-Language Accept-Resource-Priority Alert-Info Allow
    Allow-Events Answer-Mode Authentication-Info Authorization Call-ID Call-Info Contact
    Content-Disposition Content-Encoding Content-ID Content-Language Content-Length Content-Type CSeq
    Date Diversion Encryption Error-Info Event Expires Feature-Caps Flow-Timer From Geolocation Hide
    History-Info Identity Identity-Info In-Reply-To Info-Package Join Max-Breadth Max-Forwards
    MIME-Version Min-Expires Min-SE Organization Path Permission-Missing Policy-Contact Policy-ID
    Priority Privacy Priv-Answer-Mode Proxy-Authenticate Proxy-Authentication-Info Proxy-Authorization
    Proxy-Require P-Access-Network-Info P-Answer-State P-Asserted-Identity P-Asserted-Service
    P-Associated-URI P-Called-Party-ID P-Charging-Function-Addresses P-Charging-Vector P-Early-Media
    P-Media-Authorization P-Preferred-Identity P-Preferred-Service P-Profile-Key P-Served-User
    P-User-Database P-Visited-Network-ID RAck Reason Record-Route Recv-Info Refer-Sub Refer-To
    Referred-By Reject-Contact Remote-Party-ID Replaces Reply-To Request-Disposition Require
    Resource-Priority Response-Key Retry-After Route RSeq Security-Client Security-Server
    Security-Verify Server Service-Route Session-Expires Session-ID SIP-ETag SIP-If-Match Subject
    Subscription-State Supported Suppress-If-Match Target-Dialog Timestamp To Trigger-Consent
    Unsupported User-Agent User-to-User Via Warning WWW-Authenticate X-Asterisk-HangupCause
    X-Grandstream-PBX
    """.split()  # noqa: SIM905 (a list literal takes five times the lines)
)

# RFC 3261 §7.3.1: their commas do not separate values.
_NOT_LISTS: Final = frozenset(
    {"Authorization", "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate", "Date", "Subject"}
    | {"User-Agent", "Server", "Organization", "Retry-After", "Call-ID"}
)

# Every spelling that is worth a dict access; others take the slow way through `canonical_name`.
NAMES: Final[dict[str, str]] = {
    **{spelling(name): name for name in KNOWN for spelling in (str, str.lower, str.upper, str.title)},
    **{spelling(letter): name for letter, name in COMPACT.items() for spelling in (str, str.upper)},
}


def canonical_name(name: str) -> str:
    """The one spelling of a known header's name; an unknown one as it is.

    Raises:
        MalformedMessageError: not a token.
    """
    known = NAMES.get(name) or NAMES.get(name.lower())
    if known is None and not is_token(name):
        raise MalformedMessageError("header name", name)
    return known or name


def _key(name: str) -> str:
    """What two spellings of one name have in common: known names are canonical, others in lower case."""
    return NAMES.get(name) or NAMES.get(lower := name.lower()) or lower


def _checked(name: str, value: str) -> tuple[str, str]:
    """The spelling and the key of a name that is to be written."""
    if "\r" in value or "\n" in value:
        raise UsageError(f"line break in {name}: {value!r}")
    try:
        name = canonical_name(name)
    except MalformedMessageError as error:
        raise UsageError(f"no header name: {name!r}") from error
    return name, _key(name)


MAX_REMEMBERED: Final = 200  # characters


@lru_cache(maxsize=512)  # phones say the same Allow and Supported in most of their messages
def _split(name: str, text: str) -> tuple[str, ...]:
    return tuple(split_commas(name, text))


class Headers:
    """Ordered header fields. Names are given in their canonical spelling ("Call-ID"); others work, slower.

    `memo` keeps what message.py parsed from a header, under its name; every change to that header drops it.
    `first` has the first value of each name, by `_key`: to be read by whoever cannot afford a call for it.
    """

    __slots__ = ("_items", "first", "memo")

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items: list[tuple[str, str]] = []
        self.first: dict[str, str] = {}
        self.memo: dict[str, Any] = {}
        if items:
            self.extend(items)

    @classmethod
    def of_parsed(cls, items: list[tuple[str, str]], first: dict[str, str]) -> "Headers":
        """Around lists that the parser made: canonical names, stripped values, `first` by `_key`."""
        self = cls.__new__(cls)
        self._items, self.first, self.memo = items, first, {}
        return self

    def get(self, name: str) -> str | None:
        """The first value of `name`, raw (a whole line: it may be a comma list)."""
        value = self.first.get(name)
        if value is None and name not in KNOWN:
            return self.first.get(_key(name))
        return value

    def get_all(self, name: str) -> list[str]:
        """The raw values of `name`, one a line."""
        key = name
        first = self.first.get(name)
        if first is None and name not in KNOWN:
            key = _key(name)
            first = self.first.get(key)
        if first is None:
            return []
        if len(self.first) == len(self._items):
            return [first]
        if key in KNOWN:
            return [value for other, value in self._items if other == key]
        return [value for other, value in self._items if _key(other) == key]

    def values(self, name: str) -> list[str]:
        """The values of `name` with comma lists split, in order.

        Raises:
            MalformedMessageError: a quote or an angle bracket that never closes.
        """
        lines = self.get_all(name)
        if not lines or _key(name) in _NOT_LISTS:
            return lines
        if len(lines) == 1:
            line = lines[0]
            return list(_split(name, line)) if len(line) <= MAX_REMEMBERED else split_commas(name, line)
        return [value for line in lines for value in split_commas(name, line)]

    def add(self, name: str, value: str) -> None:
        """Append a line.

        Raises:
            UsageError: a line break in `value`, or a name that is no token.
        """
        if name in KNOWN and "\n" not in value and "\r" not in value:
            key = name
        else:
            name, key = _checked(name, value)
        self._items.append((name, value))
        self.first.setdefault(key, value)
        self.memo.pop(key, None)

    def extend(self, items: Iterable[tuple[str, str]]) -> None:
        """Append lines; raises as `add`, and then may have appended some."""
        for name, value in items:
            self.add(name, value)

    def prepend(self, name: str, value: str) -> None:
        """Insert a line before all others (Via, Record-Route); raises as `add`."""
        if name in KNOWN and "\n" not in value and "\r" not in value:
            key = name
        else:
            name, key = _checked(name, value)
        self._items.insert(0, (name, value))
        self.first[key] = value
        self.memo.pop(key, None)

    def set(self, name: str, value: str) -> None:
        """Make `value` the only one of `name`, where its first stood; raises as `add`."""
        if name in KNOWN and "\n" not in value and "\r" not in value:
            key = name
        else:
            name, key = _checked(name, value)
        if key not in self.first:
            self._items.append((name, value))
        else:
            where = self._where(key)
            if len(self.first) == len(self._items):
                self._items[where] = (name, value)
            else:
                tail = [item for item in self._items[where + 1 :] if _key(item[0]) != key]
                self._items[where:] = [(name, value), *tail]
        self.first[key] = value
        self.memo.pop(key, None)

    def set_first(self, name: str, value: str) -> None:
        """Replace only the first line of `name`, which must be there; raises as `add`."""
        if name in KNOWN and "\n" not in value and "\r" not in value:
            key = name
        else:
            name, key = _checked(name, value)
        if key not in self.first:
            raise UsageError(f"no {name} to replace")
        self._items[self._where(key)] = (name, value)
        self.first[key] = value
        self.memo.pop(key, None)

    def remove(self, name: str) -> None:
        """Take out every line of `name`; none is fine too."""
        key = _key(name)
        if self.first.pop(key, None) is not None:
            self._items[:] = [item for item in self._items if _key(item[0]) != key]
            self.memo.pop(key, None)

    def set_length(self, octets: int) -> None:
        """Make Content-Length say so."""
        length = str(octets)
        said = self.first.get("Content-Length")
        if said is None:
            self._items.append(("Content-Length", length))
            self.first["Content-Length"] = length
        elif said != length:
            self.set("Content-Length", length)

    def select(self, names: tuple[str, ...]) -> "Headers":
        """New headers with the lines of these names, known and canonical, in the order of `names`."""
        first = self.first
        if len(first) == len(self._items):
            items = [(name, first[name]) for name in names if name in first]
        else:
            items = [(name, value) for name in names for value in self.get_all(name)]
        return Headers.of_parsed(items, {name: first[name] for name in names if name in first})

    def has_all(self, names: frozenset[str]) -> bool:
        """Whether each of `names`, all known and canonical, is there."""
        return self.first.keys() >= names

    def copy(self) -> "Headers":
        other = Headers.of_parsed(self._items.copy(), self.first.copy())
        other.memo = self.memo.copy()
        return other

    def render(self) -> str:
        """The lines, each with its CRLF."""
        return "\r\n".join([*map(": ".join, self._items), ""])

    @property
    def has_repeated(self) -> bool:
        """Whether any name has more than one line."""
        return len(self.first) != len(self._items)

    def __contains__(self, name: str) -> bool:
        return name in self.first or (name not in KNOWN and _key(name) in self.first)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return self._items == other._items

    __hash__ = None  # type: ignore[assignment]  # mutable: mypy wants a method, Python a None

    def __repr__(self) -> str:
        return f"Headers({self._items!r})"

    def _where(self, key: str) -> int:
        """Of the first line of a name that is there."""
        if key in KNOWN:
            return self._items.index((key, self.first[key]))
        return next(where for where, item in enumerate(self._items) if _key(item[0]) == key)
