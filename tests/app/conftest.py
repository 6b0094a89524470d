"""What the tests of the running system share."""

import signal

from tests.support.postgres import postgres

__all__ = ["postgres"]

# A script that runs tests in the background, or nohup, ignores these, and what they start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
