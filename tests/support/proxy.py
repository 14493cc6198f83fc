"""A TCP proxy that cuts, stalls, delays, throttles and counts: a network broken on purpose."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass


@dataclass
class _Link:
    """One connection: both sockets."""

    client: socket.socket
    server: socket.socket


class Proxy:
    """Forwards 127.0.0.1:``port`` to another port; use as a context manager.

    Attributes:
        sent_bytes, received_bytes: from and to the client, so far.
        delay_s: added to every piece that passes.
        rate_bytes_per_s: pieces are held back so that no more passes; ``None`` for all.
        held_back_s: how long pieces were held back in all.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.sent_bytes = 0
        self.received_bytes = 0
        self.delay_s = 0.0
        self.rate_bytes_per_s: float | None = None
        self.held_back_s = 0.0
        self._is_stalled = False
        self._links: list[_Link] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.cut()
        self._listener.close()

    @property
    def passed_bytes(self) -> int:
        """Both ways, so far."""
        return self.sent_bytes + self.received_bytes

    def cut(self) -> int:
        """Break every connection with a reset; returns how many there were."""
        with self._lock:
            links, self._links = self._links, []
        for link in links:
            for end in (link.client, link.server):
                with suppress(OSError):
                    end.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0"
                    )  # reset, not an orderly end
                    end.close()
        return len(links)

    def stall(self) -> None:
        """Let nothing pass, and tell nobody: a cable pulled."""
        self._is_stalled = True

    def resume(self) -> None:
        """Let bytes pass again."""
        self._is_stalled = False

    def _serve(self) -> None:
        self._listener.settimeout(0.02)
        while not self._stop.is_set():
            with suppress(TimeoutError):
                self._accept()
            self._forward()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self._target_port), timeout=5)
        except OSError:
            client.close()
            return
        with self._lock:
            self._links.append(_Link(client, server))

    def _forward(self) -> None:
        """Pass on what comes in for a short while."""
        end_s = time.monotonic() + 0.05
        while time.monotonic() < end_s and not self._stop.is_set():
            with self._lock:
                links = list(self._links)
            if self._is_stalled or not links:
                time.sleep(0.005)
                return
            with selectors.DefaultSelector() as selector:
                for link in links:
                    with suppress(ValueError, KeyError):
                        selector.register(link.client, selectors.EVENT_READ, (link, True))
                        selector.register(link.server, selectors.EVENT_READ, (link, False))
                for key, _ in selector.select(0.02):
                    self._pass_on(*key.data)

    def _pass_on(self, link: _Link, from_client: bool) -> None:
        source, target = (link.client, link.server) if from_client else (link.server, link.client)
        try:
            data = source.recv(1 << 16)
            if data:
                held_back_s = len(data) / self.rate_bytes_per_s if self.rate_bytes_per_s else 0.0
                self.held_back_s += held_back_s
                time.sleep(self.delay_s + held_back_s)
                target.sendall(data)
        except OSError:
            data = b""
        if not data:
            with self._lock, suppress(ValueError):
                self._links.remove(link)
            source.close()
            target.close()
            return
        if from_client:
            self.sent_bytes += len(data)
        else:
            self.received_bytes += len(data)
