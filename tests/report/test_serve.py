"""The report at an address of this machine."""

import threading
import urllib.error
import urllib.request

import numpy as np
import pytest
from report_pages import append
from run_cli import run
from stand_in_models import AdditiveLatency

from edgeprof import get_space
from edgeprof.base.errors import OutputError, StoreError
from edgeprof.report import Contents, render_page, report_server

SPACE = get_space("ofa-mbv3-w1.0")


@pytest.fixture
def served():
    """Serve what a list gives, one after the other; yields the list and the address."""
    said = []

    def render():
        value = said.pop(0)
        if isinstance(value, Exception):
            raise value
        return value

    server, address = report_server(render)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield said, address
    server.shutdown()
    thread.join()
    server.server_close()


def got(address):
    # Not through a proxy of the environment: the address is of this machine.
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=20)


def test_the_page_is_made_anew_each_time_it_is_loaded(served):
    said, address = served
    assert address.startswith("http://127.0.0.1:")
    said += ["<p>one ±", "<p>two"]
    first = got(address)
    assert first.headers["Content-Type"] == "text/html; charset=utf-8"
    assert first.read().decode() == "<p>one ±"
    assert got(address + "?again").read() == b"<p>two"


def test_an_error_is_shown_and_the_server_goes_on(served):
    said, address = served
    said += [StoreError("lab.db: is <damaged>"), "<p>whole again"]
    with pytest.raises(urllib.error.HTTPError) as caught:
        got(address)
    assert caught.value.code == 500
    assert caught.value.headers["Content-Type"].startswith("text/plain")
    assert caught.value.read() == b"lab.db: is <damaged>\n"
    assert got(address).read() == b"<p>whole again"


def test_there_is_nothing_but_the_page(served):
    _, address = served
    with pytest.raises(urllib.error.HTTPError) as caught:
        got(address + "etc/passwd")
    assert caught.value.code == 404
    caught.value.close()


def test_a_port_that_is_taken_is_named(served):
    port = int(served[1].rstrip("/").rpartition(":")[2])
    with pytest.raises(OutputError, match=rf"127\.0\.0\.1:{port}: cannot serve there: .*--port"):
        report_server(str, port)


def test_serve_shows_the_report_until_ctrl_c(tmp_path, monkeypatch):
    append(
        tmp_path / "s.db", AdditiveLatency(SPACE, "pi"), SPACE.sample(3, np.random.default_rng(0))
    )
    made = []

    class Server:
        def serve_forever(self):
            raise KeyboardInterrupt

        def server_close(self):
            made.append("closed")

    def server(render, port):
        made.extend([render(), port])
        return Server(), "http://127.0.0.1:8000/"

    monkeypatch.setattr("edgeprof.report.report_server", server)
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or False)
    store = tmp_path / "s.db"
    done = run("report", store, "--serve", "--port", 8000, "--open", "--no-learning-curve")
    assert done.exit_code == 0, done.output
    assert done.stdout == "http://127.0.0.1:8000/ (Ctrl-C ends it)\n"
    assert "no browser could be opened: open http://127.0.0.1:8000/" in done.stderr
    assert made[1:] == [8000, "closed"]
    assert "3 networks on 1 device" in made[0]
    assert opened == ["http://127.0.0.1:8000/"]
    expected = render_page(Contents([store], learning_curve=False).page())
    assert made[0].split("<footer>")[0] == expected.split("<footer>")[0]
    assert not (tmp_path / "report.html").exists()


def test_what_is_wrong_is_said_before_anything_is_served(tmp_path):
    done = run("report", tmp_path / "none.db", "--serve")
    assert done.exit_code == 1
    assert isinstance(done.exception, StoreError)
