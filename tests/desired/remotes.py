"""Real Git servers on loopback: git daemon, and smart HTTP by git http-backend behind a small server of ours,
plain or in TLS."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

AUTHOR = {
    "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org", "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@example.org", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
}  # fmt: skip


def git(at: Path, *words: str, stdin: str = "") -> str:
    command = ["git", "-C", str(at), *words]
    environment = os.environ | AUTHOR
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, input=stdin)
    return done.stdout.strip()


@dataclass
class Origin:
    """A repository that people push to. path: bare; work: where commits are made."""

    path: Path
    work: Path
    count: int = 0

    @classmethod
    def at(cls, folder: Path) -> Origin:
        one = cls(folder / "origin.git", folder / "work")
        folder.mkdir(exist_ok=True)
        git(folder, "init", "-q", "--bare", "-b", "main", str(one.path))
        git(folder, "init", "-q", "-b", "main", str(one.work))
        git(one.path, "config", "http.receivepack", "false")
        return one

    def commit(self, text: str = "", path: str = "environments/base/environment.yaml", amend: bool = False) -> str:
        self.count += 1
        file = self.work / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text or f"vars: {{n: {self.count}}}\n")
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "-m", f"commit {self.count}", *(["--amend"] if amend else []))
        git(self.work, "push", "-q", "--force", str(self.path), "main")
        return git(self.work, "rev-parse", "HEAD")


def free_port(address: str) -> int:
    with socket.socket() as one:
        one.bind((address, 0))
        return int(one.getsockname()[1])


@contextmanager
def daemon(root: Path, address: str = "127.91.0.1") -> Iterator[str]:
    """git://…, for all repositories below root."""
    port = free_port(address)
    command = ["git", "daemon", "--export-all", f"--base-path={root}", "--reuseaddr", f"--listen={address}",
               f"--port={port}", str(root)]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            while True:
                try:
                    socket.create_connection((address, port), 1).close()
                    break
                except OSError:
                    assert process.poll() is None
            yield f"git://{address}:{port}"
        finally:
            process.terminate()


@dataclass(frozen=True)
class Instead:
    """What a server says that is no Git server, or no honest one."""

    code: int
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Web:
    """Smart HTTP. token: that it wants, "" for none. asked: paths. authorized: what came as
    Authorization. instead: of an answer, where it gives one; whoever
    asked waits meanwhile."""

    url: str
    token: str = ""
    asked: list[str] = field(default_factory=list)
    authorized: list[str] = field(default_factory=list)
    instead: Callable[[str], Instead | None] = lambda path: None


class _Server(ThreadingHTTPServer):
    """Shakes hands in the thread of the connection, so that who does not finish keeps nobody else waiting."""

    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.tls is None:
            return super().finish_request(request, client_address)
        with suppress(ssl.SSLError, ConnectionError), self.tls.wrap_socket(request, server_side=True) as one:
            super().finish_request(one, client_address)
            one.unwrap()  # without this word of goodbye the answer may have been cut


@contextmanager
def smart_http(
    root: Path,
    token: str = "",
    address: str = "127.91.0.2",
    tls: ssl.SSLContext | None = None,
    port: int = 0,
) -> Iterator[Web]:
    web = Web("", token)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            self._serve(b"")

        def do_POST(self) -> None:
            self._serve(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

        def _serve(self, body: bytes) -> None:
            web.asked.append(self.path)
            web.authorized += [said] if (said := self.headers.get("Authorization", "")) else []
            said = "Basic " + base64.b64encode(f"git:{web.token}".encode()).decode()
            if web.token and self.headers.get("Authorization") != said:
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic")
                self.end_headers()
                return
            if (instead := web.instead(self.path)) is not None:
                self.send_response(instead.code)
                for name, value in instead.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(instead.body)
                return
            path, _, query = self.path.partition("?")
            environment = os.environ | {
                "GIT_PROJECT_ROOT": str(root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
                "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)), "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "REMOTE_USER": "", "REMOTE_ADDR": "127.0.0.1",
            }  # fmt: skip
            done = subprocess.run(
                ["git", "http-backend"], input=body, capture_output=True, env=environment, check=False
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = [line.decode().partition(": ") for line in head.split(b"\r\n")]
            self.send_response(int(next((v for n, _, v in headers if n == "Status"), "200 OK").split()[0]))
            for name, _, value in headers:
                if name != "Status":
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = _Server((address, port), Handler)
    server.tls = tls
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    web.url = f"http{'s' if tls else ''}://{address}:{server.server_port}"
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
