"""Which settings of pbx.toml have no behaviour yet; each release takes lines out of this table."""

from typing import Final

from pbx.config import Config

NOT_IN_EFFECT: Final = (
    "rtp.relay",
    "web.listen",
    "web.tls",
)


def pending_settings(config: Config) -> list[str]:
    """The keys that are set to something else than their default and do nothing yet."""
    plain = Config()
    return [key for key in NOT_IN_EFFECT if _read(config, key) != _read(plain, key)]


def _read(config: Config, key: str) -> object:
    table, _, name = key.partition(".")
    return getattr(getattr(config, table), name)
