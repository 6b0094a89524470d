"""What the rules are told about a call."""

from collections.abc import Set

from pbx.immutable import immutable
from pbx.office.extension import Extension


@immutable
class InboundFacts:
    """A call to an internal key. `extension` is None when nobody has the key; `caller_device` is the SIP user
    of the phone that calls, empty for one outside."""

    key: str
    extension: Extension | None
    caller: str
    caller_device: str
    registered: Set[str]
