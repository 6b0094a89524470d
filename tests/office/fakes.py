"""A hasher that costs nothing, and how these tests read an office."""

import itertools

from pbx.entropy import SeededEntropy
from pbx.office.snapshot import Office
from pbx.office.toml import OfficeFile, parse_office

REALM = "pbx.local"


class FakeHasher:
    """Salts are counted, and the text can be read in the hash."""

    def __init__(self) -> None:
        self._salts = itertools.count(1)

    def hash(self, text: str, like: str = "") -> str:
        salt = like.split("$")[1] if like else str(next(self._salts))
        return f"fake${salt}${text}"

    def verify(self, text: str, stored: str) -> bool:
        return bool(stored) and self.hash(text, like=stored) == stored


def parse(text: str, existing: Office | None = None, realm: str = REALM) -> OfficeFile:
    return parse_office(
        text, "office.toml", realm=realm, hasher=FakeHasher(), entropy=SeededEntropy(), existing=existing
    )
