"""Servers on this machine that stand in for remote ones: HTTP with ranges and faults, and S3.

They are processes of their own: rasterio opens a raster without letting go of Python's lock, so a
server in a thread of the same process would never answer.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

_CONTROL = "/-/"


@dataclass(frozen=True)
class Fault:
    """What goes wrong with which requests, counted from 0 since the last `RangeServer.begin`.

    Attributes
    ----------
    first, last
        The requests meant.
    method, path
        Only those of this method, or to this path; they are counted apart from others.
    status
        Answer with this code and nothing else.
    after
        Promise the whole answer, send that many bytes of it, and hang up; negative: send nothing.
    reset
        Hang up with a reset.
    silent
        Never answer.
    agent
        Only requests of other programs than this one.
    """

    first: int = 0
    last: int = 10**9
    method: str = ""
    path: str = ""
    status: int = 0
    after: int | None = None
    reset: bool = False
    silent: bool = False
    agent: str = ""


class RangeServer:
    """A server of a folder over HTTP/1.1 with ranges; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        command = [sys.executable, __file__, str(self._folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.address = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.communicate()

    def begin(self, *faults: Fault, etag: bool = True) -> None:
        """Count from 0 again, with these faults; ``etag``: tell an ETag and a date."""
        self._control({"faults": [asdict(fault) for fault in faults], "etag": etag})

    def log(self) -> tuple[list[tuple[str, str, list[int]]], int]:
        """Return the requests (method, path, first and last byte) and the bytes of data sent."""
        answer = self._control(None)
        return [tuple(request) for request in answer["requests"]], answer["bytes"]

    def _control(self, order: dict[str, Any] | None) -> Any:
        body = None if order is None else json.dumps(order)
        return json.loads(_ask(self.address, "POST" if body else "GET", _CONTROL, body))


class S3Server:
    """A server of object storage with one bucket, ``bucket``; a context manager."""

    def __enter__(self) -> Self:
        command = [sys.executable, __file__, "s3"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.address = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        _ask(self.address, "PUT", "/bucket")
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.communicate()


def _ask(address: str, method: str, path: str, body: str | None = None) -> bytes:
    connection = HTTPConnection(urlsplit(address).netloc, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, body)
        return connection.getresponse().read()


class _State:
    """What the requests' threads share."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.begin({"faults": [], "etag": True})

    def begin(self, order: dict[str, Any]) -> None:
        self.etag = order["etag"]
        self.faults = [[0, Fault(**fault)] for fault in order["faults"]]
        self.requests: list[tuple[str, str, list[int]]] = []
        self.bytes = 0

    def fault(self, method: str, path: str, span: list[int], agent: str) -> Fault:
        with self.lock:
            self.requests.append((method, path, span))
            found = Fault()
            for counted in self.faults:
                number, fault = counted
                if (
                    fault.method in ("", method)
                    and fault.path in ("", path)
                    and fault.agent != (agent or "-")
                ):
                    counted[0] += 1
                    if fault.first <= number <= fault.last:
                        found = fault
            return found


def serve_objects() -> None:
    """Serve as S3 does until killed; the port goes to standard output."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    sys.stdout.write(f"{server.get_host_and_port()[1]}\n")
    sys.stdout.flush()
    threading.Event().wait()


def serve(folder: Path) -> None:
    """Serve until killed; the port goes to standard output."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.folder, server.state = folder, _State()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_GET(self) -> None:
        if self.path == _CONTROL:
            self._tell({"requests": self.server.state.requests, "bytes": self.server.state.bytes})
        else:
            self._answer("GET")

    def do_POST(self) -> None:
        self.server.state.begin(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._tell({})

    def log_message(self, *args: object) -> None:
        pass

    def _tell(self, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self._head(200, len(body))
        self.wfile.write(body)

    def _head(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _answer(self, method: str) -> None:
        path = unquote(urlsplit(self.path).path)
        asked = self.headers.get("Range", "").removeprefix("bytes=")
        span = [int(byte) for byte in asked.split("-")] if asked else []
        fault = self.server.state.fault(method, path, span, self.headers.get("User-Agent", ""))
        file = self.server.folder / path.lstrip("/")
        if fault.silent:
            threading.Event().wait()
        elif fault.status:
            self._head(fault.status, 0)
        elif not file.is_file():
            self._head(404, 0)
        else:
            self._send(method, file, span, fault)

    def _send(self, method: str, file: Path, span: list[int], fault: Fault) -> None:
        content, facts = file.read_bytes(), file.stat()
        first, last = span or (0, len(content))
        body = content[first : last + 1]
        if fault.after is not None and fault.after < 0:
            self._hang_up(fault)
            return
        headers = {"Accept_Ranges": "bytes"}
        if span:
            headers["Content_Range"] = f"bytes {first}-{first + len(body) - 1}/{len(content)}"
        if self.server.state.etag:
            headers["ETag"] = f'"{facts.st_mtime_ns:x}"'
            headers["Last_Modified"] = self.date_time_string(int(facts.st_mtime))
        self._head(206 if span else 200, len(body), **headers)
        if method == "GET":
            part = body[: fault.after]
            with contextlib.suppress(OSError):  # the reader has had enough
                self.wfile.write(part)
                with self.server.state.lock:
                    self.server.state.bytes += len(part)
        if fault.after is not None:
            self._hang_up(fault)

    def _hang_up(self, fault: Fault) -> None:
        self.close_connection = True
        if fault.reset:  # a socket that does not linger is reset, not closed
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()


if __name__ == "__main__":
    if sys.argv[1] == "s3":
        serve_objects()
    else:
        serve(Path(sys.argv[1]))
