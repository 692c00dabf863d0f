"""Stores for DVC remotes on loopback: an S3 server that checks who asks, and two ssh servers."""

import getpass
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
STARTED = 60.0
"""Seconds that a server may take."""


@dataclass(frozen=True)
class S3:
    """A server with one bucket and one user that may use it."""

    url: str
    key: str
    secret: str
    bucket: str = "kun"


@contextmanager
def s3_server(folder: Path) -> Iterator[S3]:
    """moto_server; wrong credentials are refused from the end of its preparation on."""
    log = folder / "moto.log"
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", "0"]
    with running(command, log) as process:
        url = _address(process, log, r"Running on (http://127\.0\.0\.1:\d+)")
        yield _with_user(url)


def _with_user(url: str) -> S3:
    import boto3

    session = boto3.Session("any", "any", region_name="us-east-1")
    iam, s3 = (session.client(name, endpoint_url=url) for name in ("iam", "s3"))
    iam.create_user(UserName="owner")
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="owner", PolicyName="all", PolicyDocument=json.dumps(policy))
    made = iam.create_access_key(UserName="owner")["AccessKey"]
    s3.create_bucket(Bucket=S3.bucket)
    closing = Request(f"{url}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"})
    urlopen(closing).read()  # from now on it asks who is there
    return S3(url, made["AccessKeyId"], made["SecretAccessKey"])


@dataclass(frozen=True)
class Ssh:
    """A server that knows one key."""

    port: int
    key: Path
    user: str
    root: Path
    """Folder that a remote may lie in."""

    @property
    def url(self) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}{self.root}"


@contextmanager
def ssh_server(folder: Path, kind: str) -> Iterator[Ssh]:
    """OpenSSH's sshd, or the server of asyncssh, as this user, with keys of its own and nothing of the machine's."""
    for name in ("host", "user", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    log, root, port = folder / "sshd.log", folder / "store", _free_port()
    root.mkdir()
    command = _sshd(folder, port) if kind == "sshd" else [sys.executable, "-c", ASYNCSSH, str(folder), str(port)]
    with running(command, log) as process:
        _wait_for(process, log, port)
        yield Ssh(port, folder / "user", getpass.getuser(), root)


ASYNCSSH = """
import asyncio, sys, asyncssh
async def serve(folder, port):
    options = {"server_host_keys": [f"{folder}/host"], "authorized_client_keys": f"{folder}/user.pub"}
    await asyncssh.listen("127.0.0.1", port, sftp_factory=True, **options)
    await asyncio.Event().wait()
asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
"""


def _sshd(folder: Path, port: int) -> list[str]:
    shutil.copy(folder / "user.pub", folder / "authorized")
    settings = {
        "ListenAddress": "127.0.0.1",
        "Port": port,
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "authorized",
        "PidFile": "none",
        "UsePAM": "no",
        "StrictModes": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "Subsystem": "sftp internal-sftp",
    }
    (folder / "sshd_config").write_text("\n".join(f"{name} {value}" for name, value in settings.items()) + "\n")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where a sshd of root wants to lock itself in
    return [str(SSHD), "-D", "-e", "-f", str(folder / "sshd_config")]


@contextmanager
def running(command: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process whose output goes into `log`, ended with the block."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _address(process: "subprocess.Popen[bytes]", log: Path, pattern: str) -> str:
    end = time.monotonic() + STARTED
    while time.monotonic() < end:
        if found := re.search(pattern, log.read_text(errors="replace")):
            return found[1]
        assert process.poll() is None, log.read_text(errors="replace")
        time.sleep(0.05)
    raise AssertionError(f"not started: {log.read_text(errors='replace')}")


def _wait_for(process: "subprocess.Popen[bytes]", log: Path, port: int) -> None:
    end = time.monotonic() + STARTED
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text(errors="replace")
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"not started: {log.read_text(errors='replace')}")
