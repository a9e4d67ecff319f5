"""The local page's server: who may ask, for what, and what the answers let a browser do."""

import http.client
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chameleon_ray.ui.gallery import Gallery
from chameleon_ray.ui.server import LocalServer
from chameleon_ray.ui.site import Site
from tests.pure.fake_result import fake_result
from tests.pure.kept_runs import changed, kept, under_way
from tests.pure.test_runs import NASTY, traces


class Answer:
    """The answer to one request, as it came."""

    def __init__(self, server: LocalServer, path: str, method: str = "GET", **headers: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        self.status, self.headers, self.body = answer.status, answer.headers, answer.read()
        connection.close()

    @property
    def text(self) -> str:
        return self.body.decode()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    kept(tmp_path / "runs" / "one")
    kept(tmp_path / "runs" / "two", seed=1)
    with LocalServer(0, Site(Gallery(tmp_path / "runs")), "secret") as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.02,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def get(server: LocalServer, path: str = "", method: str = "GET", **headers: str) -> Answer:
    return Answer(server, f"/secret/{path}", method, **headers)


def test_runs_are_listed_and_opened(server: LocalServer, tmp_path: Path) -> None:
    before = traces(tmp_path)
    page = get(server)
    assert page.status == 200
    assert 'href="run/one/"' in page.text
    assert page.text.count("verified</span>") == 2
    assert {run["model"] for run in json.loads(get(server, "runs.json").text).values()} == {
        "resnet-18"
    }
    one = get(server, "run/one/").text
    assert "18 layers" not in one
    assert "<h2" in one
    assert json.loads(get(server, "run/one/run.json").text)["state"] == "verified"
    assert "<h1>Report</h1>" in get(server, "run/one/report.html").text
    compared = get(server, "compare?run=one&run=two")
    assert (compared.status, "Runs compared" in compared.text) == (200, True)
    assert len(json.loads(get(server, "compare.json?run=one&run=two").text)["layers"]) == 18
    for name in ("page.css", "ui.css", "ui.js", "d3.min.js", "plot.umd.min.js", "figures.js"):
        assert get(server, name).status == 200
    assert traces(tmp_path) == before


def test_new_runs_appear_and_changed_ones_are_read_again(server, tmp_path: Path) -> None:
    get(server)
    changed(tmp_path / "runs" / "one" / "run.json", model="renamed")
    kept(tmp_path / "runs" / "three")
    found = json.loads(get(server, "runs.json").text)
    assert found["one"]["model"] == "renamed"
    assert "three" in found


def test_a_live_run_is_followed(server: LocalServer, tmp_path: Path) -> None:
    with under_way(tmp_path / "runs" / "live") as (progress, log):
        page = get(server, "run/live/").text
        assert 'data-refresh="2"' in page
        assert "0 of 1000 measured" in page
        for one in fake_result(tmp_path).records[:30]:
            progress.measured(one)
            log.measured(one, 0.1)
        assert "30 of 1000 measured" in get(server, "run/live/").text
        assert json.loads(get(server, "run/live/run.json").text)["state"] == "live"
    page = get(server, "run/live/").text
    assert "data-refresh" not in page
    assert "interrupted" in page


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 403),
        ("/secret", 403),
        ("/secreT/", 403),
        ("/secret/../secret/", 404),
        ("/secret/nothing", 404),
        ("/secret/run/nobody/", 404),
        ("/secret/run/one", 404),
        ("/secret/run/one/model.so", 404),
        ("/secret/run/one/log.jsonl", 404),
        ("/secret/run/one/../two/report.html", 404),
        ("/secret/run/..%2Fprecious/report.html", 404),
        ("/secret/run/%2e%2e/report.html", 404),
        ("/secret/run/one%2F..%2Ftwo/report.html", 404),
        ("/secret/run/one%00/report.html", 404),
        ("/secret/run/%ff/", 404),
        ("/secret/run/one/models/..%2F..%2Fprecious/report.html", 404),
        ("/secret/files/ui.js", 404),
        ("/secret/compare", 400),
        ("/secret/compare?run=one", 400),
        ("/secret/compare?run=one&run=../precious", 404),
        ("/secret/compare?" + "run=one&" * 50, 400),
        ("/secret/" + "a" * 5000, 414),
    ],
)
def test_nothing_else_is_given_out(server, tmp_path: Path, path: str, status: int) -> None:
    kept(tmp_path / "precious")
    answer = Answer(server, path)
    assert answer.status == status
    assert answer.text.count("\n") == 1
    assert "Report" not in answer.text


def test_links_lead_nowhere(server: LocalServer, tmp_path: Path) -> None:
    kept(tmp_path / "precious")
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "precious")
    (tmp_path / "runs" / "one" / "report.html").unlink()
    (tmp_path / "runs" / "one" / "report.html").symlink_to(tmp_path / "precious" / "report.html")
    (tmp_path / "runs" / "two" / "report.html").unlink()
    os.mkfifo(tmp_path / "runs" / "two" / "report.html")
    for name in ("link", "one", "two"):
        assert get(server, f"run/{name}/report.html").status == 404


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:1", "[::1]:80", ""])
def test_other_names_of_this_machine_are_refused(server: LocalServer, host: str) -> None:
    assert get(server, Host=host).status == 421
    assert "secret" not in get(server, Host=host).text


def test_the_names_that_are_printed_are_taken(server: LocalServer) -> None:
    for name in ("127.0.0.1", "localhost", "LOCALHOST"):
        assert get(server, Host=f"{name}:{server.server_port}").status == 200
    told = f"GET /secret/ HTTP/1.1\r\nHost: localhost:{server.server_port}\r\nHost: evil\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as two:
        two.sendall(told.encode())
        assert b" 421 " in two.recv(4096).splitlines()[0]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"])
def test_nothing_can_be_changed(server: LocalServer, method: str) -> None:
    answer = get(server, "run/one/", method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_head_has_no_body(server: LocalServer) -> None:
    answer = get(server, method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 1000


def test_browsers_are_told_to_trust_little(server: LocalServer) -> None:
    for path in ("", "run/one/", "nothing", "run/one/report.html"):
        headers = get(server, path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert ("script-src 'self';" in policy) == (path != "run/one/report.html")
        assert ("sandbox allow-scripts;" in policy) == (path == "run/one/report.html")


def test_names_are_shown_and_not_obeyed(server: LocalServer, tmp_path: Path) -> None:
    name = os.fsdecode(b'<img src=x onerror="a()">\xff\x1b')
    kept(tmp_path / "runs" / name, NASTY)
    with under_way(tmp_path / "runs" / "live", NASTY) as (progress, _):
        progress.note(NASTY)
        address = next(
            part.partition('"')[0]
            for part in get(server).text.split('href="run/')
            if part.startswith("%3Cimg")
        )
        pages = [get(server).text, get(server, f"run/{address}").text]
        pages.append(get(server, "run/live/").text)
    for page in pages:
        assert "<img" not in page
        assert "<b>net" not in page
        assert r"\x1b[2J&lt;b&gt;net" in page
        assert not {"\x1b", "\u202e"} & set(page)


def test_it_listens_here_only_and_takes_another_port_where_one_is_taken(server) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"
    with LocalServer(server.server_port, server.answering) as other:
        assert other.server_port != server.server_port
        assert other.token != server.token
        assert len(other.token) >= 20
        assert other.address.startswith(f"http://127.0.0.1:{other.server_port}/{other.token}")


def test_a_folder_may_be_empty_and_a_run_damaged(tmp_path: Path) -> None:
    site = Site(Gallery(tmp_path))
    assert b"There is no run yet." in site("", "").body
    kept(tmp_path / "bad")
    (tmp_path / "bad" / "summary.json").write_text("{")
    assert b"unreadable" in site("", "").body
