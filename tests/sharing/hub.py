"""A hub on loopback: what huggingface_hub asks of the real one to make, fill, list and read datasets (git LFS transfer).

Commits, files and large files are kept as the hub keeps them; who has no token that it knows sees nothing private.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

TOKEN = "hf_" + "a1B2" * 9
READER = "hf_" + "r3D4" * 9
"""Of somebody who may read, and write nowhere."""
LARGE = (".parquet",)


@dataclass
class Dataset:
    """Its files at each commit."""

    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    @property
    def head(self) -> str:
        return list(self.commits)[-1]

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[self.head]

    def add(self, files: dict[str, bytes], message: str) -> str:
        oid = hashlib.sha1(f"{len(self.commits)}".encode()).hexdigest()
        self.commits[oid] = files
        self.messages.append(message)
        return oid


class Hub(ThreadingHTTPServer):
    """The server; `uploads` are the large files that were sent, `broken` how many of the next it refuses."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.datasets: dict[str, Dataset] = {}
        self.large: dict[str, bytes] = {}
        self.uploads: list[str] = []
        self.broken = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def hub_server() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self.answer(
            {
                r"/api/datasets/([^/]+/[^/]+)(?:/revision/([^/]+))?": self.info,
                r"/api/datasets/([^/]+/[^/]+)/tree/([^/]+)/?": self.tree,
                r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)": self.resolve,
            }
        )

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self.answer(
            {
                r"/api/repos/create": self.create,
                r"/api/validate-yaml": self.validate,
                r"/api/datasets/([^/]+/[^/]+)/preupload/main": self.preupload,
                r"/datasets/([^/]+/[^/]+)\.git/info/lfs/objects/batch": self.batch,
                r"/api/datasets/([^/]+/[^/]+)/commit/main": self.commit,
            }
        )

    def do_PUT(self) -> None:
        self.answer({r"/lfs/([0-9a-f]{64})": self.upload})

    # What is asked

    def info(self, name: str, revision: str | None) -> Any:
        dataset = self.dataset(name)
        commit = self.revision(dataset, revision or "main")
        files = [{"rfilename": path} for path in sorted(dataset.commits[commit])]
        return {"id": name, "sha": commit, "private": dataset.private, "siblings": files}

    def tree(self, name: str, revision: str) -> Any:
        dataset = self.dataset(name)
        files = dataset.commits[self.revision(dataset, revision)]
        return [
            {"type": "file", "path": path, "size": len(data), "oid": git_oid(data)}
            for path, data in sorted(files.items())
        ]

    def resolve(self, name: str, revision: str, path: str) -> bytes:
        dataset = self.dataset(name)
        commit = self.revision(dataset, revision)
        if path not in dataset.commits[commit]:
            raise Refused(404, "Entry not found", "EntryNotFound")
        self.commit_header = commit
        return dataset.commits[commit][path]

    def create(self) -> Any:
        self.writer()
        body = self.body()
        assert body["type"] == "dataset"
        name = f"{body['organization']}/{body['name']}"
        if name in self.server.datasets:
            raise Refused(409, "You already created this dataset repo")
        made = self.server.datasets[name] = Dataset(body["visibility"] == "private")
        made.add({".gitattributes": b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"}, "initial commit")
        return {"url": f"{self.server.url}/datasets/{name}"}

    def validate(self) -> Any:
        parts = self.body()["content"].split("---\n")
        try:
            front = yaml.safe_load(parts[1])
        except (yaml.YAMLError, IndexError) as error:
            raise Refused(400, str(error)) from None
        assert {"license", "configs"} <= front.keys()
        return {"warnings": []}

    def preupload(self, name: str) -> Any:
        files, told = self.dataset(name).files, []
        for file in self.body()["files"]:
            mode = "lfs" if file["path"].endswith(LARGE) else "regular"
            oid = None
            if known := files.get(file["path"]):
                oid = hashlib.sha256(known).hexdigest() if mode == "lfs" else git_oid(known)
            told.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return {"files": told}

    def batch(self, name: str) -> Any:
        self.dataset(name)
        objects: list[dict[str, Any]] = []
        for wanted in self.body()["objects"]:
            known = wanted["oid"] in self.server.large
            upload = {"upload": {"href": f"{self.server.url}/lfs/{wanted['oid']}"}}
            objects.append(wanted if known else {**wanted, "actions": upload})
        return {"transfer": "basic", "objects": objects}

    def upload(self, oid: str) -> Any:
        data = self.raw()
        if self.server.broken:
            self.server.broken -= 1
            raise Refused(403, "made up")
        assert hashlib.sha256(data).hexdigest() == oid
        self.server.large[oid] = data
        self.server.uploads.append(oid)
        return {}

    def commit(self, name: str) -> Any:
        self.writer()
        dataset = self.dataset(name)
        header, *steps = [json.loads(line) for line in self.raw().splitlines()]
        if header["value"].get("parentCommit") not in (None, dataset.head):
            raise Refused(412, "The parent commit is not the last one")
        files = dict(dataset.files)
        for step in steps:
            value = step["value"]
            if step["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif step["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
            elif step["key"] == "deletedFile":
                del files[value["path"]]
            else:
                raise AssertionError(step)
        oid = dataset.add(files, header["value"]["summary"])
        return {"commitOid": oid, "commitUrl": f"{self.server.url}/datasets/{name}/commit/{oid}"}

    # How it is answered

    def answer(self, routes: dict[str, Any]) -> None:
        self.commit_header = ""
        self.sent: bytes | None = None
        path = unquote(urlsplit(self.path).path)
        try:
            for pattern, route in routes.items():
                if found := re.fullmatch(pattern, path):
                    self.reply(200, route(*found.groups()))
                    return
            raise AssertionError(f"{self.command} {path} is nothing that this hub knows")
        except Refused as error:
            self.raw()
            self.reply(error.status, {"error": str(error)}, {"X-Error-Code": error.code, "X-Error-Message": str(error)})

    def reply(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        told = {"Content-Length": str(len(data)), **(headers or {})}
        if self.commit_header:
            told |= {"X-Repo-Commit": self.commit_header, "ETag": f'"{git_oid(data)}"'}
        self.send_response(status)
        for name, value in told.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def raw(self) -> bytes:
        if self.sent is None:
            self.sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return self.sent

    def body(self) -> Any:
        return json.loads(self.raw())

    def token(self) -> str:
        return str(self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def writer(self) -> None:
        if self.token() != TOKEN:
            raise Refused(403, "You don't have the rights to write here")

    def dataset(self, name: str) -> Dataset:
        if self.token() and self.token() not in (TOKEN, READER):
            raise Refused(401, "Invalid credentials in Authorization header")
        found = self.server.datasets.get(name)
        if found is None or (found.private and not self.token()):
            raise Refused(404 if self.token() else 401, "Repository not found", "RepoNotFound")
        return found

    def revision(self, dataset: Dataset, name: str) -> str:
        if name == "main":
            return dataset.head
        if name not in dataset.commits:
            raise Refused(404, "Invalid rev id", "RevisionNotFound")
        return name


def git_oid(data: bytes) -> str:
    """As git names a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
