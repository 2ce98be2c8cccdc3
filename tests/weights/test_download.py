"""Downloads from a server on this machine that does everything wrong a server can do."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from maskrcnn.errors import UserError
from maskrcnn.weights import download as module
from maskrcnn.weights.download import download
from weights.web import CONTENT, SHA256, Handler, Server, running, well


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "TIMEOUT", 1.0)
    monkeypatch.setattr(module, "PAUSE", 0.01)
    with running() as server:
        yield server


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "model.pth"


def partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def test_a_server_that_behaves(server: Server, path: Path) -> None:
    for digits in (64, 8, 0):
        download(server.url, path, SHA256[:digits])
        assert path.read_bytes() == CONTENT and not partial(path).exists()
        path.unlink()
    assert server.ranges == ["", "", ""]


def test_what_is_there_is_not_fetched_again(server: Server, path: Path) -> None:
    download(server.url, path, SHA256)
    download(server.url, path, SHA256)
    assert len(server.ranges) == 1


def test_a_connection_that_breaks_off_goes_on_where_it_was(server: Server, path: Path) -> None:
    def breaks_off(handler: Handler) -> None:
        rest = CONTENT[handler.start :]
        handler.send(rest[:50_000], length=len(rest), start=handler.start)

    server.behave = breaks_off
    download(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT
    assert server.ranges == ["", *(f"bytes={n}-" for n in range(50_000, 256_000, 50_000))]


def test_an_interrupted_download_goes_on_in_the_next_call(server: Server, path: Path) -> None:
    path.parent.mkdir()
    partial(path).write_bytes(CONTENT[:100_000])
    download(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT and server.ranges == ["bytes=100000-"]


def test_without_a_checksum_nothing_old_is_built_on(server: Server, path: Path) -> None:
    path.parent.mkdir()
    partial(path).write_bytes(b"of an older model")
    download(server.url, path)
    assert path.read_bytes() == CONTENT and server.ranges == [""]


def test_a_download_that_only_lacked_its_name(server: Server, path: Path) -> None:
    path.parent.mkdir()
    partial(path).write_bytes(CONTENT)
    download(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT and server.ranges == [f"bytes={len(CONTENT)}-"]


def test_a_leftover_longer_than_the_file(server: Server, path: Path) -> None:
    path.parent.mkdir()
    partial(path).write_bytes(CONTENT + b"more")
    download(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT and server.ranges[-1] == ""


def test_a_leftover_of_another_file_is_noticed(server: Server, path: Path) -> None:
    path.parent.mkdir()
    partial(path).write_bytes(b"x" * 1000)
    with pytest.raises(UserError, match="something else than the published file"):
        download(server.url, path, SHA256)
    assert not path.exists() and not partial(path).exists()
    download(server.url, path, SHA256)  # from the beginning
    assert path.read_bytes() == CONTENT


def test_a_server_that_ignores_range(server: Server, path: Path) -> None:
    server.behave = lambda handler: handler.send(CONTENT)
    path.parent.mkdir()
    partial(path).write_bytes(CONTENT[:100_000])
    download(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT


def test_a_server_that_answers_another_range(server: Server, path: Path) -> None:
    """It says 206 but sends from the beginning."""

    def wrong(handler: Handler) -> None:
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}")
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(CONTENT)

    server.behave = wrong
    path.parent.mkdir()
    partial(path).write_bytes(CONTENT[:100_000])
    download(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT


def test_a_server_without_length(server: Server, path: Path) -> None:
    def silent(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(CONTENT)

    server.behave = silent
    download(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT


def refused(server: Server, path: Path) -> str:
    """The one line that is said."""
    with pytest.raises(UserError) as caught:
        download(server.url, path, SHA256)
    assert not path.exists() and "\n" not in str(caught.value) and str(caught.value).startswith(server.url)
    return str(caught.value)


def test_a_server_that_promises_more_than_it_has(server: Server, path: Path) -> None:
    server.behave = lambda handler: handler.send(CONTENT, length=len(CONTENT) + 1000)
    assert f"broke off after {len(CONTENT)} bytes" in refused(server, path)
    assert len(server.ranges) == 1 + module.ATTEMPTS


def test_a_server_that_sends_less_than_the_file(server: Server, path: Path) -> None:
    server.behave = lambda handler: handler.send(CONTENT[:1000])
    assert "something else than the published file" in refused(server, path)


def test_wrong_bytes(server: Server, path: Path) -> None:
    server.behave = lambda handler: handler.send(CONTENT[:-1] + b"!")
    assert f"expected {SHA256[:16]}" in refused(server, path)
    assert not partial(path).exists()


def test_a_page_in_place_of_the_file(server: Server, path: Path) -> None:
    """As in a hotel's network before one has signed in."""
    server.behave = lambda handler: handler.send(b"<html>Welcome! Please sign in.</html>")
    assert "try again later or from another network" in refused(server, path)


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (403, 1), (410, 1), (500, 4), (503, 4), (429, 4)])
def test_refusals(server: Server, path: Path, status: int, attempts: int) -> None:
    server.behave = lambda handler: handler.send(b"", status=status)
    assert f"the server answers {status} " in refused(server, path)
    assert len(server.ranges) == attempts


def test_a_server_that_recovers(server: Server, path: Path) -> None:
    def moody(handler: Handler) -> None:
        if len(server.ranges) < 3:
            handler.send(b"", status=503)
        else:
            well(handler)

    server.behave = moody
    download(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT


def test_a_server_that_falls_silent(server: Server, path: Path) -> None:
    """Twice in the middle, then it behaves."""

    def sleepy(handler: Handler) -> None:
        rest = CONTENT[handler.start :]
        if len(server.ranges) > 2:
            handler.send(rest, start=handler.start)
            return
        handler.send(rest[:10_000], length=len(rest), start=handler.start)
        handler.wfile.flush()
        time.sleep(2)

    server.behave = sleepy
    download(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT and server.ranges == ["", "bytes=10000-", "bytes=20000-"]


def test_a_server_that_never_answers(server: Server, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ATTEMPTS", 2)
    server.behave = lambda handler: time.sleep(2)
    assert "timed out" in refused(server, path)


def test_a_server_that_drips(server: Server, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then keeps a socket alive, but brings no model."""

    def drips(handler: Handler) -> None:
        handler.send(b"", length=len(CONTENT))
        for _ in range(30):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.1)

    monkeypatch.setattr(module, "_may_pass", lambda error: False)
    server.behave = drips
    assert "bytes a second" in refused(server, path)


def test_a_server_that_never_stops(server: Server, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 100_000)

    monkeypatch.setattr(module, "LARGEST", 1_000_000)
    monkeypatch.setattr(module, "_may_pass", lambda error: False)
    server.behave = endless
    assert "more than 1000000 bytes" in refused(server, path)


def test_a_server_that_speaks_no_http(server: Server, path: Path) -> None:
    server.behave = lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n") and None
    assert "cannot be downloaded" in refused(server, path)


def test_no_server(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(UserError, match=r"Connection refused.*put it at .*model\.pth") as caught:
        download(f"http://127.0.0.1:{port}/model.pth", path, SHA256)
    assert "\n" not in str(caught.value)


def test_no_such_host(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)
    with pytest.raises(UserError, match="cannot be downloaded"):
        download("http://maskrcnn.invalid/model.pth", path)


def test_no_place_for_the_file(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(UserError, match=r"cannot be downloaded .*put it at"):
        download(server.url, tmp_path / "cache" / "model.pth", SHA256)


def test_several_at_once_share_one_download(server: Server, path: Path) -> None:
    def slowly(handler: Handler) -> None:
        time.sleep(0.1)
        well(handler)

    server.behave = slowly
    threads = [threading.Thread(target=download, args=(server.url, path, SHA256)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() == CONTENT and len(server.ranges) == 1
