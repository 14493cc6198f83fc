"""The report to a browser on this machine, made anew each time that it is asked for.

Owns: the server. It listens on the loopback address alone.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from edgeprof.base.errors import EdgeprofError, OutputError

_HOST = "127.0.0.1"


def report_server(render: Callable[[], str], port: int = 0) -> tuple[ThreadingHTTPServer, str]:
    """Return a server of one page, which listens already, and its address.

    Args:
        render: returns the page's HTML; an ``EdgeprofError`` is shown in its place.
        port: of this machine; any that is free if 0.

    Raises:
        OutputError: the port is taken, or may not be used.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/":
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            try:
                status, kind, text = HTTPStatus.OK, "text/html", render()
            except EdgeprofError as error:
                status, kind, text = HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", f"{error}\n"
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: the terminal is the user's."""

    try:
        server = ThreadingHTTPServer((_HOST, port), Handler)
    except OSError as error:
        raise OutputError(
            f"{_HOST}:{port}: cannot serve there: {error.strerror}; choose another --port"
        ) from error
    return server, f"http://{_HOST}:{server.server_address[1]}/"
