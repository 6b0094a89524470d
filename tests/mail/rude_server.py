"""A mail server that says what the test wants, in a thread: lines, rubbish, or nothing."""

import socket
import threading
import time
from collections.abc import Sequence


class RudeServer:
    """Plays a script to each connection: bytes are sent, a number is a pause in seconds, None waits for a
    line, "." for the line that ends a message.

    After the last step the connection is closed. `heard` are the lines that came.
    """

    def __init__(self, script: Sequence[bytes | float | str | None]) -> None:
        self.heard: list[bytes] = []
        self.visits = 0
        self._script = script
        self._plays: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.visits += 1
            self._plays.append(threading.Thread(target=self._play, args=(connection,), daemon=True))
            self._plays[-1].start()

    def _play(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as lines:
                for step in self._script:
                    if step is None:
                        self.heard.append(lines.readline())
                    elif step == ".":
                        while lines.readline() not in (b"", b".\r\n"):
                            pass
                    elif isinstance(step, bytes):
                        connection.sendall(step)
                    else:
                        time.sleep(step)
        except OSError:
            pass  # cut by the client, as the test wants

    def wait(self) -> None:
        """Until every connection has been played to its end."""
        for each in self._plays:
            each.join()

    def close(self) -> None:
        self._listener.close()
