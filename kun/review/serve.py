"""From a choice of records to a page that people open."""

import errno
import os
import socket
from collections.abc import Callable, Sequence

from kun.errors import InputError, KunError
from kun.explain.find import find
from kun.project import Project
from kun.review.records import load_records
from kun.review.sample import Wanted, sample
from kun.review.session import Session
from kun.votes.store import read_file, standing, votes_folder
from kun.votes.vote import check_name

SECONDS_TO_END = 3
"""For answers under way when the server is stopped."""


def open_session(project: Project, reviewer: str, named: Sequence[str], wanted: Wanted, again: bool) -> Session:
    """The records that are named, or else a sample of those the reviewer has no fresh vote on (unless `again`).

    InputError for a name that cannot be a file's, for records that nobody knows, and for nothing to read.
    """
    try:
        check_name(reviewer)
    except ValueError as error:
        raise InputError(f"--as: {error}") from None
    if named:
        ids = list(dict.fromkeys(find(project, one) for one in named))
        return Session(project, reviewer, list(load_records(project, ids).values()), ", ".join(named))
    ids = sample(project, wanted, [] if again else _judged(project, reviewer))
    return Session(project, reviewer, list(load_records(project, ids).values()), str(wanted))


def serve(session: Session, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; `say` gets the address, and at the end the votes. KunError for a port in use."""
    try:
        import uvicorn

        from kun.review.guard import is_loopback, new_token
        from kun.review.server import review_app
    except ModuleNotFoundError as error:
        raise InputError(f"kun review needs the package {error.name}; run: pip install 'kun[review]'") from None
    listening = _listening(host, port)
    token = "" if is_loopback(host) else new_token()

    def started() -> None:
        say(f"review: open {_address(listening, host, token)}")

    def ended() -> None:
        say(
            "review: "
            + ", ".join(f"{number} {verdict}" for verdict, number in session.counts.items())
            + " in this session"
        )

    app = review_app(session, token, started, ended)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=SECONDS_TO_END
    )
    say(
        f"review: {len(session.records)} records ({session.told or 'finished pairs'}) for {session.reviewer}; Ctrl-C ends"
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:  # uvicorn raises the signal again when all is closed
        pass
    finally:
        listening.close()


def _judged(project: Project, reviewer: str) -> list[str]:
    """Records with a vote of the reviewer that still fits them."""
    votes = standing(read_file(votes_folder(project) / f"{reviewer}.jsonl"))
    records = load_records(project, list(votes))
    return [key for key, record in records.items() if votes[key].seen == record.seen]


def _listening(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(found[0], found[1])
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(found[4])
            listening.listen()
        except OSError:
            listening.close()
            raise
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise KunError(
                f"port {port} of {host} is in use; take another with --port, or any free one with --port 0"
            ) from None
        told = error.strerror or os.strerror(error.errno or 0)
        raise KunError(f"cannot listen on {host}, port {port}: {told}; see --host and --port") from None
    return listening


def _address(listening: socket.socket, host: str, token: str) -> str:
    """What to open: 0.0.0.0 is every address of this machine, whose name another machine can use."""
    port = listening.getsockname()[1]
    name = socket.gethostname() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")
