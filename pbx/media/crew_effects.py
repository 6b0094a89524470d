"""What the crew wants done: workers started and ended, messages to them, events for the core."""

from typing import TypeAlias

from pbx.immutable import immutable
from pbx.media.orders import Event
from pbx.media.wire import Message


@immutable
class Spawn:
    """Start worker number `worker`."""

    worker: int


@immutable
class Kill:
    """End worker number `worker`, and report its death."""

    worker: int


@immutable
class Tell:
    """Send a message to worker number `worker`."""

    worker: int
    message: Message


@immutable
class Report:
    """Hand an event to the core."""

    event: Event


Effect: TypeAlias = Spawn | Kill | Tell | Report
