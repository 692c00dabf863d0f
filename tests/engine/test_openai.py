import json
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kun.doctor import server_findings
from kun.engine import connection
from kun.engine.base import Completion, Failure, Sampling
from kun.engine.estimate import ServerTokens, estimated_tokens
from kun.engine.hf import HFModel
from kun.engine.openai import OpenAIModel
from kun.errors import ConfigError, ServerError
from kun.params import Server
from tests.engine.servers import Handler, Scripted, chat_reply, message_of, politely, scripted, transformers_serve
from tests.made import PARAMS, changed, prose

pytestmark = [pytest.mark.allow_hosts(["127.0.0.1"]), pytest.mark.usefixtures("quick")]

GREEDY = Sampling(16)
ROWS = [f"第{number}行" for number in range(12)]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits of a real run, a hundred times faster."""
    monkeypatch.setattr(connection, "FIRST_WAIT", 0.005)
    monkeypatch.setattr(connection, "LONGEST_WAIT", 0.16)


def model_at(url: str, folder: Path, name: str = "some-model", **values: Any) -> OpenAIModel:
    server: Server = changed(PARAMS.engine.server, **{"url": url, "models": name, "concurrency": 4, **values})
    return OpenAIModel(server, name, ServerTokens(estimated_tokens), folder / "spent.txt")


def ask(
    folder: Path, answer: Callable[[Handler, dict[str, Any]], None], rows: Sequence[str] = ROWS, **values: Any
) -> tuple[list[Completion | Failure], Scripted]:
    with scripted(answer) as server:
        return model_at(server.url, folder, **values).generate(rows, GREEDY), server


def first_times(count: int, misbehave: Callable[[Handler, dict[str, Any]], None]) -> Callable[[Handler, Any], None]:
    """Misbehave at the first requests of each row, then answer."""

    def answer(handler: Handler, body: dict[str, Any]) -> None:
        message = message_of(body)
        (misbehave if message != "你好" and handler.server.times[message] <= count else politely)(handler, body)

    return answer


def one_row(misbehave: Callable[[Handler, dict[str, Any]], None], row: str = ROWS[3]) -> Callable[[Handler, Any], None]:
    """Misbehave whenever one row is asked."""

    def answer(handler: Handler, body: dict[str, Any]) -> None:
        (misbehave if message_of(body) == row else politely)(handler, body)

    return answer


GOOD = [Completion(f"答{row}", "stop", len(row) + 1) for row in ROWS]


# A real server


@pytest.fixture(scope="module")
def served(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """URL and model name of `transformers serve`; its copy of the tiny model knows the token that ends a turn."""
    folder = tmp_path_factory.mktemp("served") / "base"
    shutil.copytree(tiny_base, folder)
    ends = {"bos_token_id": 1, "eos_token_id": [2, 4], "pad_token_id": 0}
    (folder / "generation_config.json").write_text(json.dumps(ends), encoding="utf-8")
    with transformers_serve(folder) as url:
        yield url, str(folder)


def test_a_real_server_writes_what_the_same_model_writes_here(
    served: tuple[str, str], llama: HFModel, tmp_path: Path
) -> None:
    url, name = served
    messages = [text[: 8 + 3 * number] for number, text in enumerate(prose(30))]
    theirs = model_at(url, tmp_path, name).generate(messages, Sampling(24))
    ours = llama.generate([llama.chat(message) for message in messages], Sampling(24))
    assert not [row for row in theirs if isinstance(row, Failure)]
    same = [left.text == right.text for left, right in zip(theirs, ours, strict=True)]  # type: ignore[union-attr]
    assert sum(same) >= 29, "greedy: a tie of two tokens at most"
    assert len({completion.text for completion in ours}) > 3, "they are not all the same"


def test_a_real_server_without_log_probabilities_is_refused_before_the_first_row(
    served: tuple[str, str], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"gives no log-probabilities.*set judge\.mode to sampled"):
        model_at(served[0], tmp_path, served[1]).choices(["好"], ["【好】", "【差】"])


def test_the_doctor_sees_what_a_real_server_has_not(served: tuple[str, str]) -> None:
    server = changed(PARAMS.engine.server, url=served[0], models=served[1])
    params = replace(PARAMS, engine=changed(PARAMS.engine, backend="openai", server=server))
    found = {one.name: one for one in server_findings(params)}
    assert found["server"].ok and found["server models"].ok, found
    assert not found["log-probabilities"].ok
    other = changed(server, models="no/such-model")
    told = server_findings(replace(params, engine=changed(params.engine, server=other)))
    assert [one.ok for one in told if one.name == "server models"] == [False]


def test_a_field_that_a_real_server_does_not_know_is_refused_before_the_first_row(
    served: tuple[str, str], tmp_path: Path
) -> None:
    penal = Sampling(4, repetition_penalty=1.1)
    with pytest.raises(ServerError, match=r"does not take requests of this kind: HTTP 422.*repetition_penalty.*extra"):
        model_at(served[0], tmp_path, served[1]).generate(["好"], penal)
    model = model_at(served[0], tmp_path, served[1], extra={"repetition_penalty": None})
    assert isinstance(model.generate(["好"], penal)[0], Completion)


# What is sent


def test_the_bare_message_is_sent_as_the_only_turn(tmp_path: Path) -> None:
    with scripted(politely) as server:
        model = model_at(server.url, tmp_path)
        assert model.generate([model.chat(row) for row in ROWS], GREEDY) == GOOD
    assert sorted(server.asked()) == sorted(ROWS)
    assert server.bodies[-1] == {
        "model": "some-model",
        "messages": [{"role": "user", "content": message_of(server.bodies[-1])}],
        "max_tokens": 16,
        "temperature": 0.0,
    }


def test_a_row_is_drawn_with_its_own_seed(tmp_path: Path) -> None:
    with scripted(politely) as server:
        model = model_at(server.url, tmp_path)
        for seed in (7, 7, 8):
            model.generate(ROWS[:2], Sampling(16, 0.7, 0.9, seed=seed))
    rows = [body for body in server.bodies if "seed" in body]
    by_row = {row: [body["seed"] for body in rows if message_of(body) == row] for row in ROWS[:2]}
    assert [len(set(seeds)) for seeds in by_row.values()] == [2, 2]
    assert by_row[ROWS[0]] != by_row[ROWS[1]]
    assert all(0 <= body["seed"] < 2**31 for body in rows)
    assert {(body["temperature"], body["top_p"]) for body in rows} == {(0.7, 0.9)}


def test_a_prompt_is_asked_with_several_seeds_at_a_time(tmp_path: Path) -> None:
    with scripted(politely) as server:
        model = model_at(server.url, tmp_path)
        model.generate([ROWS[0]] * 2, Sampling(16, 0.7, seed=1), seeds=[7, 8])
        together = [body["seed"] for body in server.bodies if "seed" in body]
        for seed in (7, 8):
            model.generate(ROWS[:1], Sampling(16, 0.7, seed=seed))
    apart = [body["seed"] for body in server.bodies if "seed" in body][2:]
    assert sorted(together) == sorted(apart)
    assert len(set(together)) == 2


def test_penalty_schema_and_further_fields_are_sent(tmp_path: Path) -> None:
    schema = json.dumps({"type": "object"})
    with scripted(politely) as server:
        extra = {"chat_template_kwargs": {"enable_thinking": False}, "max_tokens": None, "max_completion_tokens": 9}
        model = model_at(server.url, tmp_path, extra=extra)
        model.generate(ROWS[:1], Sampling(16, repetition_penalty=1.2), [schema])
    body = server.bodies[-1]
    assert body["repetition_penalty"] == 1.2
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "record", "strict": True, "schema": {"type": "object"}},
    }
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert ("max_tokens" in body, body["max_completion_tokens"]) == (False, 9)


def test_each_row_sends_its_own_schema_and_one_refused_fails_alone(tmp_path: Path) -> None:
    """Whichever row comes first: the probe asks for any record."""
    good, bad = '{"type": "object"}', '{"type": "object", "title": "unknown"}'

    def answer(handler: Handler, body: dict[str, Any]) -> None:
        form = body.get("response_format", {}).get("json_schema", {})
        if form.get("schema") == json.loads(bad):
            handler.error(400, "unsupported schema")
        else:
            politely(handler, body)

    with scripted(answer) as server:
        model = model_at(server.url, tmp_path)
        rows = model.generate(ROWS[:4], GREEDY, [bad, good, "", good])
        model.generate(ROWS[:2], GREEDY, [good, "{}"])
    assert rows == [Failure("bad_request", "HTTP 400: unsupported schema"), *GOOD[1:4]]
    sent = {
        message_of(body): body.get("response_format", {}).get("json_schema", {}).get("schema")
        for body in server.bodies[:5]
    }
    assert [sent[row] for row in ROWS[:4]] == [json.loads(bad), json.loads(good), None, json.loads(good)]
    assert server.times["你好"] == 1, "one probe for all schemas"


def test_a_server_without_schemas_is_told_before_the_first_row(tmp_path: Path) -> None:
    def answer(handler: Handler, body: dict[str, Any]) -> None:
        (handler.error(400, "no response_format here") if "response_format" in body else politely(handler, body))

    with scripted(answer) as server:
        model = model_at(server.url, tmp_path)
        with pytest.raises(ServerError, match="does not take requests of this kind: HTTP 400: no response_format here"):
            model.generate(ROWS[:2], GREEDY, ["", '{"type": "object"}'])
        assert model.generate(ROWS[:2], GREEDY) == GOOD[:2]


def test_so_many_requests_are_under_way_and_no_more(tmp_path: Path) -> None:
    together = threading.Barrier(6)

    def with_others(handler: Handler, body: dict[str, Any]) -> None:
        if message_of(body) in ROWS:
            together.wait(60)
        politely(handler, body)

    rows, server = ask(tmp_path, with_others, concurrency=6)
    assert rows == GOOD
    assert server.most == 6


def test_the_key_is_sent_and_told_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret-123")

    def answer(handler: Handler, body: dict[str, Any]) -> None:
        handler.error(401, f"wrong key {handler.headers['Authorization']}")

    with pytest.raises(
        ServerError, match=r"HTTP 401: wrong key Bearer \*\*\*; check the key in .* engine\.server\.key"
    ) as e:
        ask(tmp_path, answer, key="MY_KEY")
    assert "sk-secret" not in str(e.value)
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(ConfigError, match=r"engine\.server\.key: the environment variable MY_KEY is not set"):
        ask(tmp_path, politely, key="MY_KEY")


def test_requests_are_named_by_uuids_and_a_reply_may_name_its_own(tmp_path: Path) -> None:
    """llama.cpp's server refuses a request whose X-Request-Id is anything else, with an empty HTTP 400."""
    names: list[str] = []

    def answer(handler: Handler, body: dict[str, Any]) -> None:
        name = handler.headers["X-Request-Id"]
        names.append(str(uuid.UUID(name, version=4)))
        assert names[-1] == name
        told(id=f"chatcmpl-{name}")(handler, body)

    rows = ask(tmp_path, answer)[0]
    assert [row.text for row in rows if isinstance(row, Completion)] == ["答"] * len(ROWS)
    assert len(set(names)) == len(names) >= len(ROWS)


# What is retried


def cut(handler: Handler, body: dict[str, Any]) -> None:
    handler.cut()


def status(code: int, **headers: str) -> Callable[[Handler, dict[str, Any]], None]:
    return lambda handler, body: handler.error(code, **headers)


def raw(text: str) -> Callable[[Handler, dict[str, Any]], None]:
    return lambda handler, body: handler.send(200, text)


def told(**changes: Any) -> Callable[[Handler, dict[str, Any]], None]:
    return lambda handler, body: handler.reply("答", body, **changes)


def to_another(handler: Handler, body: dict[str, Any]) -> None:
    """Named as a request of the same client is, but not this one."""
    name = handler.headers["X-Request-Id"]
    told(id=f"chatcmpl-{name[:-1]}{'1' if name[-1] == '0' else '0'}")(handler, body)


def saying(**changes: Any) -> Callable[[Handler, dict[str, Any]], None]:
    """A reply whose one choice is changed."""
    return lambda handler, body: handler.reply("答", body, choices=[chat_reply("答", "")["choices"][0] | changes])


PATIENCE = 1.5
"""Seconds; well above what an answer takes on a busy machine."""


def asleep(handler: Handler, body: dict[str, Any]) -> None:
    time.sleep(2 * PATIENCE)
    politely(handler, body)


TRANSIENT = {
    "server_error": status(500),
    "server_error ": status(503),
    "rate_limit": status(429),
    "no_connection": cut,
    "timeout": asleep,
}
MALFORMED = {
    "malformed_reply": raw('{"id": "chatcmpl-1", "choices": [{"mess'),
    "malformed_reply: no body": raw(""),
    "malformed_reply: a list": raw("[]"),
    "malformed_reply: no choices": told(choices=[]),
    "malformed_reply: null choices": told(choices=None),
    "malformed_reply: two choices": told(choices=chat_reply("答", "")["choices"] * 2),
    "malformed_reply: no message": saying(message=None),
    "malformed_reply: no content": saying(message={"role": "assistant", "content": None}),
    "malformed_reply: another index": saying(index=3),
    "wrong_finish": saying(finish_reason="tool_calls"),
    "wrong_finish: none": saying(finish_reason=None),
    "wrong_reply": told(model="another-model"),
    "wrong_reply: another request": to_another,
}


@pytest.mark.parametrize("misbehave", TRANSIENT.values(), ids=TRANSIENT)
def test_what_passes_is_tried_again(tmp_path: Path, misbehave: Callable[[Handler, dict[str, Any]], None]) -> None:
    rows, server = ask(tmp_path, first_times(2, misbehave), ROWS[:4], timeout=PATIENCE, retries=3)
    assert rows == GOOD[:4]
    assert set(server.times[row] for row in ROWS[:4]) == {3}


@pytest.mark.parametrize("misbehave", MALFORMED.values(), ids=MALFORMED)
def test_nonsense_is_asked_again(tmp_path: Path, misbehave: Callable[[Handler, dict[str, Any]], None]) -> None:
    assert ask(tmp_path, first_times(2, misbehave), ROWS[:4])[0] == GOOD[:4]


@pytest.mark.parametrize(
    ("reason", "misbehave"), [*TRANSIENT.items(), *MALFORMED.items()], ids=[*TRANSIENT, *MALFORMED]
)
def test_a_row_that_never_succeeds_fails_with_the_reason_and_the_others_do_not(
    tmp_path: Path, reason: str, misbehave: Callable[[Handler, dict[str, Any]], None]
) -> None:
    rows, server = ask(tmp_path, one_row(misbehave), timeout=PATIENCE, retries=1)
    failed = rows.pop(3)
    assert isinstance(failed, Failure)
    assert (failed.reason, failed.error) == (reason.split(":")[0].strip(), None)
    assert failed.detail and "\n" not in failed.detail
    assert rows == [*GOOD[:3], *GOOD[4:]]
    assert server.times[ROWS[3]] == (2 if reason in TRANSIENT else 3)


@pytest.mark.parametrize("code", [400, 413, 422])
def test_a_row_that_the_server_refuses_is_not_asked_again(tmp_path: Path, code: int) -> None:
    too_long = one_row(lambda handler, body: handler.error(code, "maximum context length is 2048 tokens"))
    rows, server = ask(tmp_path, too_long)
    assert rows.pop(3) == Failure("bad_request", f"HTTP {code}: maximum context length is 2048 tokens")
    assert rows == [*GOOD[:3], *GOOD[4:]]
    assert server.times[ROWS[3]] == 1


def test_a_reply_that_was_filtered_fails_at_once(tmp_path: Path) -> None:
    rows, server = ask(tmp_path, one_row(saying(finish_reason="content_filter")))
    assert rows[3] == Failure("content_filter", "the server holds the reply back")
    assert server.times[ROWS[3]] == 1


@pytest.mark.parametrize(
    ("finish", "text", "ends"), [("stop", "", "empty"), ("length", " \n", "empty"), ("length", "答", "length")]
)
def test_a_reply_ends_as_the_server_says(tmp_path: Path, finish: str, text: str, ends: str) -> None:
    answer = saying(finish_reason=finish, message={"content": text})
    assert ask(tmp_path, answer, ROWS[:1])[0] == [Completion(text.strip(), ends, 1)]


def test_tokens_are_estimated_when_the_server_does_not_count(tmp_path: Path) -> None:
    (row,), _ = ask(tmp_path, told(usage=None, choices=chat_reply("河水流过abcdef", "")["choices"]), ROWS[:1])
    assert row == Completion("河水流过abcdef", "stop", 6)


def test_a_wait_that_the_server_asks_for_is_kept(tmp_path: Path) -> None:
    seen: list[float] = []

    def answer(handler: Handler, body: dict[str, Any]) -> None:
        if message_of(body) == ROWS[0]:
            seen.append(time.monotonic())
            if len(seen) == 1:
                return handler.error(429, Retry_After="0.5")
        return politely(handler, body)

    assert ask(tmp_path, answer, ROWS[:1])[0] == GOOD[:1]
    assert seen[1] - seen[0] >= 0.5, "a hundred times the own wait"


def test_retry_after_may_be_a_date() -> None:
    soon = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))
    assert 25 < (connection._asked_wait(soon) or 0) <= 30
    assert connection._asked_wait("soon") is None
    assert connection._asked_wait("1e9") == connection.LONGEST_ASKED_WAIT


def test_the_waits_by_default_outlast_a_server_that_is_gone_for_30_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    waits = [connection._wait(attempt) for attempt in range(PARAMS.engine.server.retries)]
    assert 30 < sum(waits) < 70
    assert waits == sorted(waits) or waits[-1] <= 16


# What ends the stage


@pytest.mark.parametrize(
    ("code", "fix"),
    [(401, "check the key"), (403, "check the key"), (404, r"check engine\.server\.url"), (402, "empty")],
)
def test_what_no_row_can_escape_ends_the_stage_at_once_and_keeps_what_is_finished(
    tmp_path: Path, code: int, fix: str
) -> None:
    def answer(handler: Handler, body: dict[str, Any]) -> None:
        (politely if message_of(body) in ("你好", *ROWS[:4]) else status(code))(handler, body)

    rows, server = ask(tmp_path, answer, concurrency=1)
    assert rows[:4] == GOOD[:4]
    errors = {str(row.error) for row in rows[4:] if isinstance(row, Failure)}
    assert len(errors) == 1
    with pytest.raises(ServerError, match=rf"refuses model 'some-model' with HTTP {code}: made up; .*{fix}"):
        raise rows[-1].error  # type: ignore[misc,union-attr]
    assert server.asked() == ROWS[:5], "nobody is asked after that"


def test_a_server_that_is_gone_and_comes_back_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LONGEST_WAIT", 0.05)
    waits, wait = threading.Semaphore(0), connection._wait

    def counted(attempt: int) -> float:
        waits.release()
        return wait(attempt)

    monkeypatch.setattr(connection, "_wait", counted)
    with scripted(politely) as first:
        model = model_at(first.url, tmp_path, retries=100_000)
        assert model.generate(ROWS[:4], GREEDY) == GOOD[:4]
    with ThreadPoolExecutor(1) as helper:
        told = helper.submit(model.generate, ROWS, GREEDY)
        for _ in range(20):
            assert waits.acquire(timeout=60), "each try that finds nobody is followed by a wait"
        with scripted(politely, first.server_port) as second:
            assert told.result() == GOOD
    assert sorted(second.asked()) == sorted(ROWS)


def test_a_server_that_stays_away_ends_the_stage(tmp_path: Path) -> None:
    with scripted(politely) as server:
        model = model_at(server.url, tmp_path, retries=2)
        model.generate(ROWS[:1], GREEDY)
    rows = model.generate(ROWS, GREEDY)
    assert all(isinstance(row, Failure) and row.error is not None for row in rows)
    with pytest.raises(ServerError, match=r"answers nobody \(.*2 retries\); finished rows are kept"):
        raise rows[0].error  # type: ignore[misc,union-attr]


# Cost


def test_the_stage_stops_at_its_cost_and_counts_what_earlier_runs_spent(tmp_path: Path) -> None:
    prices = {"price_in": 100_000.0, "price_out": 0.0, "concurrency": 1}  # ten tokens: 1
    with scripted(politely) as server:
        model = model_at(server.url, tmp_path, max_cost=5.0, **prices)
        rows = model.generate(ROWS, GREEDY)
        assert [isinstance(row, Completion) for row in rows] == [True] * 4 + [False] * 8, "one went to the trial"
        assert (model.usage.tokens_in, model.usage.tokens_out, model.usage.cost) == (50, 4 * 4 + 3, 5.0)
        with pytest.raises(ServerError, match=r"has cost 5 in this stage, engine\.server\.max_cost is 5; .* raise it"):
            raise rows[-1].error  # type: ignore[misc,union-attr]
        with pytest.raises(ServerError, match="has cost 5 in this stage"):
            model_at(server.url, tmp_path, max_cost=5.0, **prices).generate(ROWS, GREEDY)
        again = model_at(server.url, tmp_path, max_cost=8.0, **prices)
        assert sum(isinstance(row, Completion) for row in again.generate(ROWS[4:], GREEDY)) == 2
        assert (again.usage.cost, again.usage.spent()) == (3.0, 8.0)


def test_a_torn_line_of_what_was_spent_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "spent.txt").write_text("1000000 0\n500", encoding="ascii")
    assert model_at("http://127.0.0.1:9/v1", tmp_path, price_in=2.0).usage.spent() == 2.0
