"""The roots of the error tree. Outcomes (busy, declined, wrong passcode) are events, never errors."""


class PbxError(Exception):
    """Anything this system raises on purpose."""


class PeerError(PbxError):
    """The other side broke the protocol; `status` and `reason` are what it is told."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


class UsageError(PbxError):
    """Our own code broke a contract: a bug. The peer gets 500."""


class ConfigError(PbxError):
    """A setting that cannot be used: start-up stops with one line on stderr and exit code 2."""

    def __init__(self, key: str, value: object, why: str) -> None:
        super().__init__(f"{key} = {value!r}: {why}")
        self.key = key
        self.value = value
        self.why = why


class StoreError(PbxError):
    """The database failed us."""


class MediaError(PbxError):
    """A media worker or codec failed us."""


class NoPortError(MediaError):
    """Every RTP port is taken or resting."""
