"""Servers on loopback for the openai engine: a real one with the tiny model, and one that does whatever a test wants."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.copies import OFFLINE, OFFLINE_GUARD

Answer = Callable[["Handler", dict[str, Any]], None]
"""Answers one request; the second argument is its body."""


@contextmanager
def transformers_serve(folder: Path) -> Iterator[str]:
    """`transformers serve` of the model in `folder`; gives the URL."""
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder)]
    options = ["--host", "127.0.0.1", "--port", "0", "--device", "cpu", "--dtype", "float32"]
    environment = os.environ | OFFLINE | {"PYTHONPATH": str(OFFLINE_GUARD), "OMP_NUM_THREADS": "1"}
    log = folder.parent / "serve.log"
    with log.open("wb") as file:
        process = subprocess.Popen([*command, *options], stdout=file, stderr=file, env=environment)
    try:
        yield f"{_address(process, log)}/v1"
    finally:
        process.terminate()
        process.wait(10)


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    for _ in range(600):
        told = log.read_text(encoding="utf-8", errors="replace")
        if found := re.search(r"running on (http://127\.0\.0\.1:\d+)", told):
            return found[1]
        assert process.poll() is None, told[-3000:]
        time.sleep(0.1)
    raise AssertionError(f"the server has not started within a minute: {told[-3000:]}")


class Handler(BaseHTTPRequestHandler):
    """One request; what a server can say, and ways of saying it badly."""

    protocol_version = "HTTP/1.1"
    server: "Scripted"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.count(self, body)
        self.server.answer(self, body)

    def do_GET(self) -> None:
        """The list of models, where the server keeps one."""
        self.server.headers.append(dict(self.headers))
        if self.server.listing is None or not self.path.endswith("/v1/models"):
            return self.error(404, "no such page")
        return self.server.listing(self)

    def names(self, *models: str) -> None:
        data = [{"id": name, "object": "model", "created": 1, "owned_by": "me"} for name in models]
        self.send(200, json.dumps({"object": "list", "data": data}))

    def send(self, status: int, text: str, **headers: str) -> None:
        data = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def error(self, status: int, message: str = "made up", **headers: str) -> None:
        self.send(status, json.dumps({"error": {"message": message, "type": "made_up"}}), **headers)

    def reply(self, text: str | None, body: dict[str, Any], **changes: Any) -> None:
        self.send(200, json.dumps(chat_reply(text, body["model"]) | changes, ensure_ascii=False))

    def cut(self) -> None:
        """Promise a body and close the connection in its middle."""
        self.send_response(200)
        self.send_header("Content-Length", "4000")
        self.end_headers()
        self.wfile.write(b'{"id": "chat')
        self.wfile.flush()
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


class Scripted(ThreadingHTTPServer):
    """Answers each request as told; knows what was asked and how many requests were under way at once."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Answer, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: Counter[str] = Counter()
        self.listing: Callable[[Handler], None] | None = None
        """Answers GET /v1/models; None: there is no such page."""
        self.most = 0
        self._answer, self._under_way, self._lock = answer, 0, threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def count(self, handler: Handler, body: dict[str, Any]) -> None:
        with self._lock:
            self.bodies.append(body)
            self.headers.append(dict(handler.headers))
            self.times[message_of(body)] += 1

    def answer(self, handler: Handler, body: dict[str, Any]) -> None:
        with self._lock:
            self._under_way += 1
            self.most = max(self.most, self._under_way)
        try:
            self._answer(handler, body)
        except ConnectionError:
            pass  # the client was killed, or has lost patience
        finally:
            with self._lock:
                self._under_way -= 1

    def asked(self) -> list[str]:
        """Messages of all requests but those that only try whether the server answers."""
        return [message_of(body) for body in self.bodies if message_of(body) != "你好"]


@contextmanager
def scripted(answer: Answer, port: int = 0) -> Iterator[Scripted]:
    server = Scripted(answer, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def message_of(body: dict[str, Any]) -> str:
    (message,) = body["messages"]
    assert message["role"] == "user"
    return str(message["content"])


def chat_reply(text: str | None, model: str, finish: str | None = "stop") -> dict[str, Any]:
    """Ten tokens in, a token a character out."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": len(text or ""), "total_tokens": 10 + len(text or "")},
    }


def politely(handler: Handler, body: dict[str, Any]) -> None:
    handler.reply(f"答{message_of(body)}", body)
