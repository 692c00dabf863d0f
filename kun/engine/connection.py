"""Requests to an OpenAI-compatible server: many at a time, each again until it is answered or known to be hopeless."""

import asyncio
import itertools
import math
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import openai

from kun.engine.base import Failure
from kun.engine.replies import MalformedReply, Reply, tokens_of
from kun.engine.usage import Usage
from kun.errors import ConfigError, ServerError
from kun.params import Server

T = TypeVar("T")
Body = dict[str, Any]
"""Fields of a chat request."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 16.0
"""Seconds before the first retry and at most; eight of them wait 47 to 64 seconds together."""
LONGEST_ASKED_WAIT = 600.0
"""As LONGEST_WAIT, where the server names the time itself."""
MALFORMED_RETRIES = 2
"""A server that answers nonsense does so again, mostly."""
TRANSIENT = (408, 409, 425, 429)
"""Of the statuses below 500, those that another try may mend."""
HOPELESS = {
    401: "check the key in the environment variable that engine.server.key names",
    402: "the account is empty",
    403: "check the key in the environment variable that engine.server.key names, and what it may use",
    404: "check engine.server.url and engine.server.models",
    405: "check engine.server.url",
}
"""Statuses that no other row can escape -> what to do."""
DETAIL = 200
"""Characters of a server's message that are quoted."""


class Trouble(Exception):
    """No answer, or not the one that was asked for."""

    def __init__(self, reason: str, detail: str, retries: int = 0, wait: float | None = None) -> None:
        """`retries` are worth trying, each after `wait` seconds if that is known."""
        super().__init__(detail)
        self.reason, self.retries, self.wait = reason, retries, wait


class Overload(Trouble):
    """Trouble that may be the server's with every request."""


class Connection:
    """One server and one of its models."""

    def __init__(self, server: Server, model: str, usage: Usage, count: Callable[[str], int]) -> None:
        """Nothing is sent yet; ConfigError when the key's variable is not set. `count` estimates tokens of a text."""
        self._server, self._model, self._usage, self._count = server, model, usage, count
        self._key = api_key(server)
        self._mark = str(uuid.uuid4())[:9]  # "1b2c3d4e-", the beginning of all its requests' names
        self._answering_model: Any = None
        self._client: openai.AsyncOpenAI
        self._room: asyncio.Semaphore
        self._ended: asyncio.Event
        self._error: ServerError | None = None

    def ask_all(self, bodies: Sequence[Body], read: Callable[[Reply], T | Failure]) -> list[T | Failure]:
        """What `read` makes of each reply, in order; a failure with its reason where there is none.

        `read` raises MalformedReply when another try is worth it. What ends the stage is the `error` of all rows that
        were not answered before.
        """
        return asyncio.run(self._ask_all(bodies, read))

    def probe(self, body: Body, read: Callable[[Reply], object]) -> Failure | None:
        """Why the server does not take such requests, None when it does; ServerError when it takes none at all."""
        (answer,) = self.ask_all([body], read)
        if not isinstance(answer, Failure):
            return None
        if answer.error:
            raise answer.error
        return answer

    async def _ask_all(self, bodies: Sequence[Body], read: Callable[[Reply], T | Failure]) -> list[T | Failure]:
        """Client and locks belong to the event loop, which lives as long as the call."""
        self._room, self._ended, self._error = asyncio.Semaphore(self._server.concurrency), asyncio.Event(), None
        async with openai.AsyncOpenAI(
            base_url=self._server.url, api_key=self._key or "none", timeout=self._server.timeout, max_retries=0
        ) as self._client:
            return await asyncio.gather(*(self._ask(body, read) for body in bodies))

    async def _ask(self, body: Body, read: Callable[[Reply], T | Failure]) -> T | Failure:
        """Ask until there is an answer, or no hope for one."""
        async with self._room:
            times: Counter[str] = Counter()
            for attempt in itertools.count():
                if self._ended.is_set():
                    break
                try:
                    self._check_cost()
                    return await self._answer(body, read)
                except ServerError as error:
                    self._end(error)
                except Trouble as trouble:
                    times[trouble.reason] += 1
                    if times[trouble.reason] > trouble.retries:
                        return await self._given_up(trouble)
                    await self._pause(_wait(attempt) if trouble.wait is None else trouble.wait)
        return Failure("not_asked", str(self._error), self._error)

    async def _answer(self, body: Body, read: Callable[[Reply], T | Failure]) -> T | Failure:
        try:
            return read(await self._send(body))
        except MalformedReply as error:
            raise Trouble(error.reason, str(error), MALFORMED_RETRIES, 0.0) from None

    async def _send(self, body: Body) -> Reply:
        """One request, one reply; raises Trouble, MalformedReply, and ServerError when no request can succeed."""
        name = self._mark + str(uuid.uuid4())[len(self._mark) :]  # a UUID: llama.cpp's server refuses every other name
        retries = self._server.retries
        try:
            async with asyncio.timeout(self._server.timeout):  # the client's own is from one byte to the next
                raw = await self._client.chat.completions.with_raw_response.create(
                    model=self._model,
                    messages=body["messages"],
                    extra_body={field: value for field, value in body.items() if field != "messages"},
                    extra_headers={"X-Request-Id": name},
                )
        except (TimeoutError, openai.APITimeoutError):
            raise Overload("timeout", f"no reply within {self._server.timeout:g} seconds", retries) from None
        except openai.APIStatusError as error:
            raise self._refusal(error) from None
        except openai.APIConnectionError as error:
            raise Overload("no_connection", self._quoted(error.__cause__ or error), retries) from None
        try:
            reply = raw.http_response.json()
        except ValueError as error:
            raise MalformedReply(f"the body is not JSON: {self._quoted(error)}") from None
        self._check_sender(reply, raw.headers.get("x-request-id", ""), name)
        counts = tokens_of(reply)
        self._usage.add(*counts or (self._count(str(body["messages"])), self._count(str(reply.get("choices", "")))))
        return reply

    def _refusal(self, error: openai.APIStatusError) -> Trouble | ServerError:
        status, retries = error.status_code, self._server.retries
        detail = f"HTTP {status}: {self._quoted(said_by(error))}"
        if status in HOPELESS:
            return ServerError(
                f"{self._server.url} refuses model {self._model!r} with {detail}; {HOPELESS[status]}. Finished rows are kept"
            )
        if status in TRANSIENT or status >= 500:
            reason = "rate_limit" if status == 429 else "server_error"
            return Overload(reason, detail, retries, _asked_wait(error.response.headers.get("retry-after")))
        return Trouble("bad_request", detail)

    def _check_sender(self, reply: Any, header: str, name: str) -> None:
        """A reply may name the request that it is for, and names its model; raises MalformedReply (`wrong_reply`)."""
        if not isinstance(reply, dict):
            raise MalformedReply(f"the body is {type(reply).__name__}, not an object")
        for told in (header, str(reply.get("id", ""))):
            if self._mark in told and name not in told:
                raise MalformedReply("a reply to another request", "wrong_reply")
        model = reply.get("model")
        self._answering_model = self._answering_model or model
        if model and model != self._answering_model:
            raise MalformedReply(f"a reply of {model!r:.80} instead of {self._answering_model!r:.80}", "wrong_reply")

    def _check_cost(self) -> None:
        limit = self._server.max_cost
        if limit and (spent := self._usage.spent()) >= limit:
            raise ServerError(
                f"{self._model!r} has cost {spent:.4g} in this stage, engine.server.max_cost is {limit:g}; finished rows are "
                "kept, raise it to go on"
            )

    async def _given_up(self, trouble: Trouble) -> Failure:
        """The row fails, unless it is the server that answers nobody: then the stage ends."""
        if isinstance(trouble, Overload):
            try:
                await self._send({"messages": user_turn("你好"), "max_tokens": 1})
            except ServerError as error:
                self._end(error)
            except Overload:
                self._end(
                    ServerError(
                        f"{self._server.url} answers nobody ({trouble}; {trouble.retries} retries); finished rows are kept: "
                        "run again when it is back, with a lower engine.server.concurrency if it was overloaded"
                    )
                )
            except (Trouble, MalformedReply):
                pass  # an answer all the same
        return Failure(trouble.reason, str(trouble), self._error)

    def _end(self, error: ServerError) -> None:
        self._error = self._error or error
        self._ended.set()

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than the stage has a future."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)

    def _quoted(self, text: object) -> str:
        return quoted(text, self._key)


def user_turn(message: str) -> list[dict[str, str]]:
    """The messages of a chat with one turn."""
    return [{"role": "user", "content": message}]


def quoted(text: object, key: str) -> str:
    """One short line without the key, which some servers repeat."""
    line = " ".join(str(text).split())
    return (line.replace(key, "***") if key else line)[:DETAIL]


def api_key(server: Server) -> str:
    """From the variable that `key` names, "" when none is asked for; ConfigError when it is not set."""
    if server.key and not os.environ.get(server.key):
        raise ConfigError(f"engine.server.key: the environment variable {server.key} is not set; export it")
    return os.environ[server.key] if server.key else ""


def _wait(attempt: int) -> float:
    """Doubling, less up to a quarter, so that rows that failed together do not come back together."""
    return min(FIRST_WAIT * 2.0 ** min(attempt, 30), LONGEST_WAIT) * (1 - 0.25 * random.random())


def _asked_wait(header: str | None) -> float | None:
    """Retry-After: seconds or a date; None without one."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except ValueError:
            return None
    return min(max(seconds, 0.0), LONGEST_ASKED_WAIT) if math.isfinite(seconds) else None


def said_by(error: openai.APIStatusError) -> str:
    """What the server says, without the JSON around it."""
    body = error.body
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body
    return str(body or error.message)
