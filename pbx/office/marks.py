"""What the annotation of a field says beside its kind: how the file has it. `pbx.office.table` reads both."""

from dataclasses import dataclass

from pbx.office.values import Kind


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of something else in the same file; whether it is there is checked once all is read."""

    to: str
    kind: Kind

    def read(self, raw: object) -> object:
        return self.kind.read(raw)


@dataclass(frozen=True, slots=True)
class Many:
    """A list of values, none twice. `stand_in` takes the place of a wrong one while the rest is checked."""

    kind: Kind
    limit: int = 1000
    low: int = 0
    stand_in: object = ""


@dataclass(frozen=True, slots=True)
class Named:
    """The key in the file, where it is not the field's name; and for rows what tells one from another."""

    key: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Inline:
    """Tables that are written as { … } on one line."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A key that is read and never written: the field holds what became of it (mostly a hash)."""

    key: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Hidden:
    """A field that the file has no key for."""
