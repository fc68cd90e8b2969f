"""Files from a server that behaves badly, on this machine: nothing here asks the network."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tinytorch import downloads
from tinytorch.downloads import download
from tinytorch.folders import cache_folder, data_folder, shipped, shipped_folders, write_whole

CONTENT = bytes(range(256)) * 1500                      # several chunks
MD5, SHA256 = hashlib.md5(CONTENT).hexdigest(), hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT at every path, in the manner that the path names, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []

    def url(self, manner: str) -> str: return f"http://127.0.0.1:{self.server_port}/{manner}"
    def handle_error(self, request, client_address): pass       # a client that hung up


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args): pass

    def do_GET(self):
        manner, wanted = self.path.strip("/"), self.headers.get("Range")
        self.server.asked.append((manner, wanted))
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and manner != "deaf" else 0
        if manner == "missing": return self.answer(404, b"nothing here")
        if manner == "broken": return self.answer(503, b"come back later")
        if manner == "wrong": return self.answer(200, CONTENT[:-1] + b"?")
        if manner == "apology": return self.answer(200, b"<html>we are sorry</html>")
        if manner == "unknown-length": return self.answer(200, CONTENT, length=False)
        if start >= len(CONTENT):
            return self.answer(416, b"", {"Content-Range": f"bytes */{len(CONTENT)}"})
        if manner == "liar":
            return self.answer(206, CONTENT[start + 5 :], {"Content-Range": f"bytes {start + 5}-/*"})
        part, more = CONTENT[start:], {}
        if start: more["Content-Range"] = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        stop = {"hangs-up": 100_000, "never": 0}.get(manner, len(part))
        return self.answer(206 if start else 200, part, more, stop=stop)

    def answer(self, code, content, headers=(), length=True, stop=None):
        self.send_response(code)
        for name, value in dict(headers).items(): self.send_header(name, value)
        if length: self.send_header("Content-Length", str(len(content)))
        else: self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content[:stop])
        self.close_connection = True


@pytest.fixture(scope="module")
def serving():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server(serving):
    serving.asked.clear()
    return serving


def left(folder: Path) -> list[str]: return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("checksum", ["", MD5, SHA256, SHA256.upper()])
def test_a_file_arrives(server, checksum, tmp_path):
    heard = []
    target = tmp_path / "deep" / "file"
    path = download(server.url("good"), target, checksum, lambda *told: heard.append(told))
    assert path.read_bytes() == CONTENT and left(path.parent) == ["file"]
    assert heard[-1] == (len(CONTENT), len(CONTENT)) and len(heard) > 3 and heard == sorted(heard)


def test_a_file_that_is_there_is_not_asked_for(server, tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    assert download(server.url("good"), tmp_path / "file", MD5).read_bytes() == b"mine" and server.asked == []


def test_a_connection_that_breaks_is_taken_up_where_it_broke(server, tmp_path):
    path = download(server.url("hangs-up"), tmp_path / "file", MD5)
    assert path.read_bytes() == CONTENT
    starts = [int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0 for _, wanted in server.asked]
    assert starts == [0, 100_000, 200_000, 300_000], "each try goes on where the last one ended"


def test_what_had_arrived_earlier_is_kept(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT[:70_000])
    download(server.url("good"), tmp_path / "file", MD5)
    assert server.asked == [("good", "bytes=70000-")] and (tmp_path / "file").read_bytes() == CONTENT
    assert left(tmp_path) == ["file"]


@pytest.mark.parametrize("manner", ["deaf", "unknown-length"])
def test_a_server_that_cannot_go_on_sends_all_of_it_again(server, manner, tmp_path):
    (tmp_path / "file.part").write_bytes(b"x" * 70_000)
    assert download(server.url(manner), tmp_path / "file", MD5).read_bytes() == CONTENT


def test_all_of_it_had_arrived(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT)
    assert download(server.url("good"), tmp_path / "file", MD5).read_bytes() == CONTENT


@pytest.mark.parametrize("had", [b"x" * 70_000, CONTENT + b"more", b"?" * len(CONTENT)])
def test_what_had_arrived_was_wrong(server, had, tmp_path):
    (tmp_path / "file.part").write_bytes(had)
    urls = [server.url("good"), server.url("good")]
    assert download(urls, tmp_path / "file", MD5).read_bytes() == CONTENT and left(tmp_path) == ["file"]


@pytest.mark.parametrize("manner", ["missing", "broken", "wrong", "apology", "liar"])
def test_the_next_mirror_is_asked(server, manner, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT[:10])
    found = download([server.url(manner), server.url("good")], tmp_path / "file", SHA256)
    assert found.read_bytes() == CONTENT and left(tmp_path) == ["file"]
    assert [manner for manner, _ in server.asked][-1] == "good"


@pytest.mark.parametrize(("manner", "reason"), [
    ("missing", "404"), ("wrong", "384,000 bytes that came have another checksum"),
    ("apology", "another checksum"),
    ("never", "broke off after 0 of 384,000 bytes"),
])
def test_nothing_stands_under_its_name_when_all_fails(server, manner, reason, tmp_path):
    with pytest.raises(OSError, match="could not be fetched") as caught:
        download([server.url(manner)], tmp_path / "file", MD5)
    said = str(caught.value)
    assert reason in said and server.url(manner) in said, "each mirror and its reason"
    assert str(tmp_path / "file") in said and "TINYTORCH_DATA" in said, "and what to do without a network"
    assert not (tmp_path / "file").exists()


def test_without_a_network_it_is_said_where_to_put_the_file(tmp_path):
    with pytest.raises(OSError, match="put it at") as caught:
        download("http://127.0.0.1:9/nobody-listens", tmp_path / "file")
    assert "refused" in str(caught.value)


def test_ctrl_c_leaves_what_arrived_for_next_time(server, tmp_path):
    def pressed(have, total):
        if have > 100_000: raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): download(server.url("good"), tmp_path / "file", MD5, pressed)
    assert left(tmp_path) == ["file.part"]
    assert download(server.url("good"), tmp_path / "file", MD5).read_bytes() == CONTENT


def test_a_checksum_of_unknown_kind_is_refused(server, tmp_path):
    with pytest.raises(ValueError, match="32, 40 or 64 digits"):
        download(server.url("good"), tmp_path / "file", "abc")


def test_a_terminal_is_shown_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(downloads.sys.stderr, "isatty", lambda: True, raising=False)
    show = downloads.shown("file")
    show(1_000_000, 4_000_000), show(4_000_000, 4_000_000), show(5, 0)
    assert capsys.readouterr().err == "\rfile: 25 % of 4.0 MB\rfile: 100 % of 4.0 MB\n\rfile: 0.0 MB"


# ------------------------------------------------------------------------------------------------ folders

@pytest.mark.parametrize(("platform", "environment", "want"), [
    ("linux", {}, "home/.cache"), ("linux", {"XDG_CACHE_HOME": "/big"}, "/big"),
    ("darwin", {}, "home/Library/Caches"),
    ("win32", {}, "home/AppData/Local"), ("win32", {"LOCALAPPDATA": "D:/local"}, "D:/local"),
])
def test_every_system_has_its_place_for_a_cache(platform, environment, want):
    assert cache_folder(platform, environment, Path("home")) == Path(want)


def test_data_lies_where_somebody_says(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYTORCH_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.delenv("TINYTORCH_DATA")
    assert data_folder().name == "tinytorch"


def test_what_came_with_the_course_is_found(monkeypatch, tmp_path):
    assert shipped("digits/digits.npz").is_file()
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "digits.npz").touch()
    monkeypatch.setenv("TINYTORCH_SHIPPED", str(tmp_path))
    assert shipped("digits/digits.npz") == tmp_path / "digits" / "digits.npz"
    assert shipped("text/sonnets.txt").is_file(), "what is not there is looked for where it usually lies"
    with pytest.raises(FileNotFoundError) as caught: shipped("moon.txt")
    assert all(str(folder) in str(caught.value) for folder in shipped_folders())


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    write_whole(tmp_path / "file", b"one")
    write_whole(tmp_path / "file", b"two")
    assert (tmp_path / "file").read_bytes() == b"two" and left(tmp_path) == ["file"]
