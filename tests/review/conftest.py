"""A small project with records at every place of their life, and its page served as users start it."""

import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kun.project import Project
from kun.schemas.corpus import PERPLEXITY, TEXT
from kun.schemas.pairs import INSTRUCTION, JUDGED, PAIR, POLISHED
from kun.schemas.rejects import REJECT
from kun.schemas.select import LOSSES, SELECTED
from kun.tables.shards import write_dataset, write_json
from kun.votes.shown import load_shown
from kun.votes.store import append, votes_folder
from kun.votes.vote import Kind, Vote
from tests.copies import ROOT

MARKUP = '<img src=x onerror="window.hurt=1"><script>window.hurt=2</script></script>&amp;'
"""What a record must not do to the page."""
PAIRS, BAND, LOW, SHORT, SPAM = range(6), range(6, 9), 9, 10, 11
"""Numbers of records: in data/mixed; of them none; below the judge's threshold; too short; dropped by clean as spam."""


def key(number: int) -> str:
    return f"{number:x}".rjust(2, "0") * 16


def raw(number: int) -> str:
    return f"第{number}篇：绿茶怕光怕潮，应当密封后放进冰箱冷藏；红茶常温避光即可，开封之后尽快喝完。"


def answer(number: int) -> str:
    return f"绿茶怕光怕潮，应当密封后放进冰箱冷藏；红茶放在阴凉处即可。（{number}）"


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project without votes; `copied` gives one to write to."""
    root = tmp_path_factory.mktemp("records")
    project = Project(root)
    shutil.copy(ROOT / "params.yaml", root)
    asked = {number: f"怎样保存第{number}种茶叶？" for number in range(11)} | {3: f"{MARKUP}怎样保存？"}
    texts = [
        {
            "id": key(number),
            "text": raw(number) + (MARKUP if number == 3 else ""),
            "source": "forum" if number % 2 else "essays/tea",
        }
        | {"origin": f"tea.txt:{number + 1}", "title": MARKUP if number == 3 else "茶", "lang": "zh", "n_chars": 40}
        for number in range(12)
    ]
    polished = [
        {"id": key(number), "answer": answer(number), "finish": "stop", "n_new": 9, "shortened": False}
        | {"copy_rate": 0.5, "support": 0.9, "length_ratio": 0.8}
        for number in range(10)
    ]
    judged = [
        {"id": key(number), "p_good": 0.9 - number / 12, "verdict": "good", "margin": 1.0, "reply": ""}
        for number in range(11)
    ]
    pairs = [
        {"id": key(number), "instruction": asked[number], "input": "", "output": answer(number), "method": "kun"}
        | {
            "source": texts[number]["source"],
            "licence": "CC0-1.0",
            "p_good": 0.9 - number / 12,
            "copy_rate": 0.5,
            "support": 0.9,
        }
        for number in PAIRS
    ]
    made = pl.DataFrame(pairs, schema=PAIR)
    scores = {name: pl.lit(None, kind) for name, kind in SELECTED.items() if name not in (*PAIR, "rank", "edited_by")}
    chosen = made.head(4).with_columns(rank=pl.int_range(1, 5), edited_by=pl.lit(""), **scores)
    losses = {name: pl.Series([None] * len(PAIRS), dtype=kind) for name, kind in LOSSES.items()}
    for name, frame, schema in (
        ("ingested", texts, TEXT),
        ("perplexity", [{"id": key(n), "n_scored": 9, "loss": 2.0, "ppl": 7.0 + n} for n in range(11)], PERPLEXITY),
        ("instructions", [{"id": key(n), "instruction": text} for n, text in asked.items()], INSTRUCTION),
        ("judged", judged, JUDGED),
        ("polished", polished, POLISHED),
        ("mixed", pairs, PAIR),
        ("losses", losses | {"id": made["id"], "s_cond": [0.5] * len(PAIRS), "s_direct": [1.0] * len(PAIRS)}, LOSSES),
        ("selected", chosen, SELECTED),
    ):  # fmt: skip
        write_dataset(
            project.dataset(name),
            frame if isinstance(frame, pl.DataFrame) else pl.DataFrame(frame, schema=schema),
            schema,
        )
    left = {
        "clean": [(SPAM, "spam", "3 words", "< 2")],
        "polish": [(SHORT, "judge_floor", "0.07", ">= 0.3")],
        "pairs": [(number, "judge_threshold", "0.3", ">= 0.4") for number in (*BAND, LOW)],
        "ingest": [(None, "malformed_json", "line 7", "JSON")],
    }
    for stage, rows in left.items():
        ledger = [
            {
                "id": "forum.csv:7" if number is None else key(number),
                "stage": stage,
                "status": "dropped",
                "reason": reason,
            }
            | {"value": value, "threshold": threshold, "source": "forum", "excerpt": "坏行{"}
            for number, reason, value, threshold in rows
        ]
        write_dataset(project.rejects(stage), pl.DataFrame(ledger, schema=REJECT), REJECT)
        times = {reason: sum(row[1] == reason for row in rows) for _, reason, _, _ in rows}
        by_source = {"forum": {"kept": 1, "rejected": times}, "essays/tea": {"kept": 1, "rejected": {}}}
        counts = {"stage": stage, "rows_in": 12, "kept": 12 - len(rows), "reasons": times, "by_source": by_source}
        write_json(project.counts(stage), counts)
    return root


@pytest.fixture
def project(records: Path, tmp_path: Path) -> Project:
    """One of its own."""
    return Project(shutil.copytree(records, tmp_path / "project"))


@dataclass
class Page:
    """A running `kun review`, as a client without a browser sees it."""

    process: "subprocess.Popen[str]"
    url: str
    said: list[str]
    secret: str = field(default="", init=False)

    @property
    def port(self) -> int:
        found = re.search(r":(\d+)/", self.url)
        assert found
        return int(found[1])

    @property
    def token(self) -> str:
        return self.url.partition("token=")[2]

    def ask(self, path: str, body: Any = None, method: str = "", **headers: str) -> tuple[int, dict[str, str], str]:
        """Status, headers (small letters) and body of one request; `origin` and the page's secret as given, or none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method or ("GET" if body is None else "POST"), path, sent, names)
        answer = connection.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
        connection.close()
        return found

    def get(self, path: str) -> Any:
        status, _, text = self.ask(path)
        assert status == 200, text
        return json.loads(text)

    def change(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        """As the page does it."""
        if not self.secret:
            found = re.search(r'name="kun-page" content="([^"]+)"', self.ask("/", **headers)[2])
            assert found
            self.secret = found[1]
        status, _, text = self.ask(
            path, body, origin=f"http://127.0.0.1:{self.port}", x_kun_page=self.secret, **headers
        )
        return status, json.loads(text) if text.startswith("{") else text

    def vote(self, record: str, verdict: str, edit: dict[str, str] | None = None, note: str = "") -> tuple[int, Any]:
        return self.change("/api/votes", {"record": record, "verdict": verdict, "edit": edit or {}, "note": note})

    def end(self, number: int = signal.SIGINT) -> str:
        """Stop it as Ctrl-C does; what it said at the end."""
        self.process.send_signal(number)
        return self.process.communicate(timeout=60)[1]


@contextmanager
def reviewing(root: Path, *options: str) -> Iterator[Page]:
    """`kun review` in the project at `root`, on a free port."""
    command = [sys.executable, "-m", "kun", "review", "--port", "0", *options]
    process = subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True)
    said: list[str] = []
    assert process.stderr is not None
    try:
        for line in iter(process.stderr.readline, ""):
            said.append(line)
            if found := re.search(r"open (http\S+)", line):
                yield Page(process, found[1], said)
                break
        else:
            raise AssertionError(f"the page was not served: {''.join(said)}")
    finally:
        process.kill()  # nothing, when it has ended
        process.wait()
        process.stderr.close()


def say(project: Project, number: int, verdict: Kind, reviewer: str = "anna", seen: str = "", **edit: str) -> None:
    """Store a vote on a record as it is shown now, or as `seen`."""
    record = load_shown(project, [key(number)])[key(number)]
    vote = Vote(record.id, record.dataset, verdict, reviewer, seen or record.seen, edit)
    append(votes_folder(project), vote)


def votes_of(root: Path, reviewer: str = "reviewer") -> list[dict[str, Any]]:
    """The lines of data/votes/<reviewer>.jsonl."""
    path = root / "data/votes" / f"{reviewer}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
