"""What the tests of the running system share."""

from tests.support.postgres import postgres

__all__ = ["postgres"]
