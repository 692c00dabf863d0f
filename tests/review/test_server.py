"""The real server on loopback: records, votes, undo; who is let in; how it starts and ends."""

import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from kun.cli import main
from kun.project import Project
from kun.votes.vote import seen_key
from tests.review.conftest import BAND, LOW, MARKUP, PAIRS, Page, answer, key, raw, reviewing, votes_of

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "0.0.0.0"])


@pytest.fixture(scope="module")
def root(records: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(records, tmp_path_factory.mktemp("served") / "project")


@pytest.fixture(scope="module")
def page(root: Path) -> Iterator[Page]:
    """One for the tests that leave no votes behind, or none that matter to others."""
    with reviewing(root) as found:
        yield found


def places(page: Page) -> dict[str, int]:
    """Id -> place in the sample."""
    count = len(page.get("/api/session")["records"])
    return {page.get(f"/api/records/{place}")["id"]: place for place in range(count)}


# What is shown and stored


def test_finished_pairs_are_read_by_default_each_once(page: Page) -> None:
    assert page.said[0].startswith("review: 6 records (finished pairs) for reviewer")
    assert set(places(page)) == {key(number) for number in PAIRS}


def test_a_record_is_shown_whole_with_raw_text_scores_and_fate(page: Page) -> None:
    shown = page.get(f"/api/records/{places(page)[key(2)]}")
    assert (shown["output"], shown["origin"], shown["dataset"]) == (answer(2), "tea.txt:3", "mixed")
    assert "".join(text for text, _ in shown["raw"]) == raw(2)
    assert "".join(text for text, _ in shown["answer"]) == answer(2)
    assert ["应当密封后放进冰箱冷藏；红茶" in text for text, shared in shown["raw"] if shared].count(True) == 1
    assert "阴凉" in "".join(text for text, shared in shown["answer"] if not shared)
    assert shown["scores"] == {
        "p_good": 0.7333,
        "support": 0.9,
        "copy_rate": 0.5,
        "ppl": 9.0,
        "ifd_ppl": 0.6065,
        "ira": 0.5,
    }
    assert (shown["rank"], shown["left"]) == (3, {})


def test_votes_are_stored_with_what_was_seen_and_an_undo_takes_the_last_back(project: Project) -> None:
    with reviewing(project.root, "--as", "anna") as page:
        status, told = page.vote(key(0), "keep", note=" 通顺 ")
        assert (status, told["counts"]) == (200, {"keep": 1, "drop": 0, "edit": 0})
        page.vote(key(1), "edit", {"instruction": "怎样保存第1种茶叶？", "output": "改过的回答。\r\n"})
        page.vote(key(0), "drop")
        status, told = page.change("/api/undo", {})
        assert told["undone"] == places(page)[key(0)]
        assert page.get(f"/api/records/{told['undone']}")["vote"] == {"verdict": "keep", "edit": {}, "note": "通顺"}
        ended = page.end()
        assert page.process.returncode == 0
    assert ended.strip() == "review: 1 keep, 0 drop, 1 edit in this session"
    lines = votes_of(project.root, "anna")
    assert [(line["id"], line["verdict"]) for line in lines] == [
        (key(0), "keep"), (key(1), "edit"), (key(0), "drop"), (key(0), "undo"),
    ]  # fmt: skip
    assert lines[1]["edit"] == {"output": "改过的回答。"}, "only what was changed, in the form that all texts have"
    assert lines[0]["seen"] == seen_key({"instruction": "怎样保存第0种茶叶？", "input": "", "output": answer(0)})
    assert (lines[0]["note"], lines[0]["dataset"], lines[0]["reviewer"]) == ("通顺", "mixed", "anna")


def test_a_killed_server_loses_no_vote_and_the_next_goes_on_behind_it(project: Project) -> None:
    with reviewing(project.root) as page:
        for number in (0, 1):
            assert page.vote(key(number), "keep")[0] == 200
        page.process.kill()
        page.process.wait()
    assert [line["id"] for line in votes_of(project.root)] == [key(0), key(1)]
    with reviewing(project.root) as page:
        assert set(places(page)) == {key(number) for number in (2, 3, 4, 5)}
        assert page.change("/api/undo", {})[1]["undone"] is None, "only votes of this session"


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"{", 400, "Expecting"),
        (b"[" * 100_000, 400, "no deep structure"),
        ([], 400, "a vote has record, verdict, edit, note"),
        ({"record": key(0), "verdict": "keep"}, 400, "a vote has"),
        ({"record": key(0), "verdict": "keep", "edit": [], "note": ""}, 400, "edit is of another type"),
        ({"record": key(0), "verdict": "undo", "edit": {}, "note": ""}, 400, "keep, drop or edit, not 'undo'"),
        ({"record": key(0), "verdict": "keep", "edit": {"output": "x"}, "note": ""}, 400, "no other verdict does"),
        ({"record": key(0), "verdict": "edit", "edit": {}, "note": ""}, 400, "nothing is changed"),
        ({"record": key(0), "verdict": "edit", "edit": {"output": answer(0)}, "note": ""}, 400, "nothing is changed"),
        ({"record": key(0), "verdict": "edit", "edit": {"output": "  "}, "note": ""}, 400, "the new output is empty"),
        ({"record": key(0), "verdict": "edit", "edit": {"output": 1}, "note": ""}, 400, "maps fields to texts"),
        ({"record": key(0), "verdict": "edit", "edit": {"source": "x"}, "note": ""}, 400, "no source to edit"),
        ({"record": key(LOW), "verdict": "keep", "edit": {}, "note": ""}, 404, "no record"),
        ({"record": key(0), "verdict": "keep", "edit": {}, "note": "x" * 2001}, 400, "note is longer"),
        ({"record": key(0), "verdict": "keep", "edit": {}, "note": "x" * 1_000_001}, 413, "too long"),
    ],
)
def test_a_senseless_vote_is_refused_and_not_stored(
    page: Page, root: Path, body: object, status: int, reason: str
) -> None:
    before = votes_of(root)
    found, told = page.change("/api/votes", body)
    assert found == status
    assert reason in (told["error"] if isinstance(told, dict) else told)
    assert votes_of(root) == before


def test_a_place_outside_is_not_found(page: Page) -> None:
    assert page.ask("/api/records/6")[0] == 404
    assert page.ask("/api/records/-1")[0] == 404
    assert page.ask("/../params.yaml")[0] == 404


# Who is let in


def test_every_answer_has_the_headers_that_keep_a_page_to_itself(page: Page) -> None:
    for path in ("/", "/review.js", "/api/session", "/nothing"):
        headers = page.ask(path)[1]
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers


def test_another_page_can_neither_vote_nor_undo(page: Page, root: Path) -> None:
    body = {"record": key(0), "verdict": "drop", "edit": {}, "note": ""}
    page.change("/api/undo", {})
    own, secret = f"http://127.0.0.1:{page.port}", page.secret
    before = votes_of(root)
    for headers in (
        {"origin": "http://evil.example", "x_kun_page": secret},
        {"origin": "null", "x_kun_page": secret},
        {"origin": f"http://127.0.0.1:{page.port + 1}", "x_kun_page": secret},
        {"x_kun_page": secret},
        {"origin": own},
        {"origin": own, "x_kun_page": secret[:-1]},
    ):
        for path in ("/api/votes", "/api/undo"):
            assert page.ask(path, body, **headers)[0] == 403, headers
    assert votes_of(root) == before


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "[", ""])
def test_a_name_that_somebody_pointed_at_this_machine_is_refused(page: Page, host: str) -> None:
    """Else their page could read the records by DNS rebinding."""
    assert page.ask("/api/session", host=host)[0] in (400, 403)


def test_a_record_stays_text(page: Page) -> None:
    assert page.ask(f"/api/records/{places(page)[key(3)]}")[1]["content-type"] == "application/json"
    assert MARKUP in page.get(f"/api/records/{places(page)[key(3)]}")["instruction"]
    assert MARKUP not in page.ask("/")[2], "the page itself has no record in it"


def test_bound_elsewhere_it_asks_for_its_token_once(project: Project) -> None:
    with reviewing(project.root, "--host", "0.0.0.0") as page:
        assert len(page.token) >= 40
        assert socket.gethostname() in page.url
        for path in ("/", "/api/session", "/review.js", "/?token=", f"/?token={page.token[:-1]}x"):
            status, _, text = page.ask(path)
            assert (status, text) == (403, "open the address that `kun review` printed, with its token")
        status, headers, _ = page.ask(f"/?token={page.token}")
        assert (status, headers["location"]) == (303, "/"), "the token leaves the address bar"
        cookie = headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie
        entered = cookie.split(";")[0]
        assert page.ask("/api/session", cookie=entered)[0] == 200
        assert entered.startswith(f"kun_review_{page.port}="), "a browser has one set of cookies for all ports"
        assert page.ask("/api/session", cookie=f"kun_review_{page.port}=x")[0] == 403
        assert page.change("/api/undo", {}, cookie=entered)[0] == 200
        assert page.ask("/api/undo", {}, origin=f"http://127.0.0.1:{page.port}", cookie=entered)[0] == 403
        assert page.token not in page.end(), "no log has it"


# Start and end


def kun(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["review", *words])
    return done.exit_code, done.stderr.strip()


def test_a_port_in_use_is_told_in_one_line(page: Page, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    told = f"kun: port {page.port} of 127.0.0.1 is in use; take another with --port, or any free one with --port 0"
    assert kun("--port", str(page.port), "--again") == (2, told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--as", "Anna"], "--as: 'Anna' is no name for a reviewer: up to 40 small letters"),
        (["--stage", "pair"], "no stage 'pair'; did you mean pairs?"),
        (["--source", "foru"], "no source 'foru'; did you mean forum?"),
        (["--reason", "spam", "--stage", "pairs"], "no row has left for 'spam' in pairs"),
        (["--by", "p_good", "--between", "2", "3"], "nothing to read in p_good 2–3: there are none"),
        (["00ff00ff"], "no record has the id 00ff00ff…"),
        (["--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid, port 8420"),
    ],
)
def test_bad_input_is_told_in_one_line(
    root: Path, words: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    status, said = kun(*words)
    assert status == 2
    assert said.startswith(f"kun: {told}")
    assert len(said.splitlines()) == 1


def test_options_that_contradict_each_other_are_a_usage_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    assert "--between needs --by" in kun("--between", "0", "1")[1]
    assert "not both" in kun(key(0), "--by", "p_good")[1]


def test_a_project_without_data_is_told_what_to_do(
    tmp_path: Path, records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(records / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    status, said = kun()
    assert (status, said) == (2, f"kun: {Path('data/mixed')} is not there; run `dvc repro` first")


def test_sigterm_ends_it_with_counts_too(project: Project) -> None:
    with reviewing(project.root, "--by", "p_good", "--between", "0", "0.4") as page:
        assert f"{len(BAND) + 2} records (p_good 0–0.4)" in page.said[0]
        assert "0 keep, 0 drop, 0 edit" in page.end(signal.SIGTERM)
    assert votes_of(project.root) == []
