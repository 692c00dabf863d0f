"""The five stages on made pairs: nothing is lost or mixed up, whatever the oracle does."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kun.corpus.text import text_id, unit_hash
from kun.engine.base import Failure
from kun.errors import ConfigError, InputError, TooManyFailed
from kun.params import Engine, Reflection
from kun.project import Project
from kun.reflection.answers import answers
from kun.reflection.by_ifd import by_ifd
from kun.reflection.by_rifd import by_rifd
from kun.reflection.choice import OUTCOMES, TEXTS
from kun.reflection.instructions import instructions
from kun.reflection.pairs import pairs
from kun.reflection.report import report
from kun.schemas.pairs import PAIR
from kun.schemas.schema import conform
from kun.schemas.select import LOSSES
from kun.select.losses import pair_losses
from kun.select.scores import with_scores
from kun.tables.shards import read_dataset
from kun.work.stage import ModelStage
from tests.made import FAKE, HF, PARAMS, assert_conserved, changed, ledger, pinned, reasons, seed_pairs, store
from tests.reflection.oracles import Reply, better, replying, rewrites, shown, unchanged

WIDE = changed(PARAMS.reflection, max_ifd=1e9, max_rifd=1e9, keep_unreflected=True)
"""Every scored pair is data."""
STAGES = ("instructions", "by_ifd", "answers", "by_rifd", "pairs")
GIVEN = "今天天气很好，适合出门散步。"


def made(count: int = 12, given: str = "") -> pl.DataFrame:
    """Pairs of the seeds; every third has `given` as its input."""
    rows = seed_pairs(count)
    return pl.DataFrame(
        {
            "id": [text_id(str(number)) for number in range(count)],
            "instruction": [instruction for instruction, _ in rows],
            "input": [given if number % 3 == 0 else "" for number in range(count)],
            "output": [output for _, output in rows],
            "source": "made",
            "method": "kun",
            "licence": "CC0-1.0",
            **dict.fromkeys(("p_good", "copy_rate", "support"), 0.9),
        },
        schema=PAIR,
    )


def prepared(root: Path, base: Path, rows: pl.DataFrame | None = None) -> Project:
    project = pinned(root, base)
    project.adapter("chat").mkdir(parents=True)
    store(project, "pairs", made(given=GIVEN) if rows is None else rows)
    return project


def run(
    project: Project, params: Reflection = WIDE, engine: Engine = FAKE, reply: Reply = better
) -> tuple[dict[str, dict[str, Any]], "Counter[str]"]:
    """All stages; their counts, and what the oracle was asked."""
    with replying(reply) as asked:
        counts = {
            "instructions": instructions(project, params, engine),
            "by_ifd": by_ifd(project, params, PARAMS.losses, engine),
            "answers": answers(project, params, engine),
            "by_rifd": by_rifd(project, params, PARAMS.losses, engine),
        }
    told = {name: one for name, one in counts.items() if one is not None} | {"pairs": pairs(project, params)}
    before = read_dataset(project.dataset("pairs"))["id"].to_list()
    for name in STAGES:
        assert_conserved(project, f"reflection/{name}", f"reflection/{name}", before, told[name])
        before = table(project, name)["id"].to_list()
    return told, asked


def table(project: Project, name: str) -> pl.DataFrame:
    return read_dataset(project.dataset(f"reflection/{name}"))


def originals(project: Project) -> pl.DataFrame:
    return read_dataset(project.dataset("pairs")).select("id", *TEXTS)


def test_pairs_are_rewritten_and_the_student_takes_some(tmp_path: Path, tiny_base: Path) -> None:
    project = prepared(tmp_path, tiny_base, made(40))
    told, asked = run(project)
    assert told["instructions"]["statuses"] == told["answers"]["statuses"] == {"new": 40}
    assert set(asked.values()) == {1}
    assert told["answers"]["oracle"] == "fake" and told["answers"]["sampling"]["temperature"] == 0
    first, second, done = table(project, "by_ifd"), table(project, "by_rifd"), table(project, "pairs")
    assert set(first["choice"]) == set(second["choice"]) == {"old", "new"}
    new = pl.col("choice") == "new"
    assert first.filter(new & (pl.col("new_ifd") <= pl.col("old_ifd") * 1.01)).is_empty()
    assert second.filter(new & (pl.col("new_rifd") * 1.01 >= pl.col("old_rifd"))).is_empty()
    winners = [pl.when(new).then(f"new_{name}").otherwise(f"old_{name}").alias(name) for name in TEXTS]
    assert first.select(*winners).equals(second.select(pl.col(f"old_{name}").alias(name) for name in TEXTS))
    assert second.select("id", *winners).equals(done.select("id", *TEXTS))
    assert set(done["method"]) == {"reflection"} and set(done["licence"]) == {"CC0-1.0"}


def test_acceptance_3_a_new_pair_comes_from_one_reply(tmp_path: Path, tiny_base: Path) -> None:
    project = prepared(tmp_path, tiny_base)
    run(project)
    for row in table(project, "instructions").iter_rows(named=True):
        topic = row["instruction"].removeprefix("请从三个方面深入分析").removesuffix("，并举例说明。")
        assert row["output"].startswith(f"关于{topic}，") and row["input"] == "" and row["critique"] == "太简单。"


def refusing(prompt: str, seed: int) -> str:
    return "这条指令已经很好了。"


def half(prompt: str, seed: int) -> str:
    """The new instruction without its answer."""
    return json.dumps({"critique": "", "instruction": "请比较蒸发和沸腾。", "answer": ""}, ensure_ascii=False)


@pytest.mark.parametrize("reply", [refusing, half, unchanged])
def test_acceptance_4_the_original_pair_is_restored_with_its_input(
    tmp_path: Path, tiny_base: Path, reply: Reply
) -> None:
    project = prepared(tmp_path, tiny_base)
    told, _ = run(project, reply=reply)
    assert table(project, "pairs").select("id", *TEXTS).equals(originals(project))
    assert GIVEN in set(table(project, "pairs")["input"])
    assert told["pairs"]["outcomes"]["original"]["pairs"] == 12


def test_acceptance_10_an_oracle_that_changes_nothing_is_asked_once(tmp_path: Path, tiny_base: Path) -> None:
    project = prepared(tmp_path, tiny_base)
    told, asked = run(project, reply=unchanged)
    assert told["instructions"]["statuses"] == told["answers"]["statuses"] == {"unchanged": 12}
    assert set(table(project, "by_ifd")["reason"]) == set(table(project, "by_rifd")["reason"]) == {"unchanged"}
    assert (len(asked), set(asked.values())) == (24, {1})


def test_refused_replies_are_asked_again_with_another_seed_and_then_given_up(tmp_path: Path, tiny_base: Path) -> None:
    project = prepared(tmp_path, tiny_base)
    told, asked = run(project, changed(WIDE, retries=2), reply=refusing)
    assert set(asked.values()) == {3}
    rows = table(project, "instructions")
    assert told["instructions"]["refused"] == {"missing_instruction": 12}
    assert told["answers"]["refused"] == {"missing_answer": 12}
    assert set(rows["tries"]) == {3} and set(rows["reply"]) == {refusing("", 0)}

    def second(prompt: str, seed: int) -> str:
        return better(prompt) if seed > WIDE.seed else refusing(prompt, seed)

    told, asked = run(prepared(tmp_path / "second", tiny_base), reply=second)
    assert told["instructions"]["statuses"] == {"new": 12} and set(asked.values()) == {2}


def flaky(prompt: str, seed: int) -> str | Failure:
    """30% of all replies are unusable, 2% never come."""
    luck = unit_hash(prompt, seed)
    if luck < 0.02:
        return Failure("timeout", "made up")
    return refusing(prompt, seed) if luck < 0.3 else better(prompt)


def test_acceptance_8_a_flaky_oracle_is_asked_a_bounded_number_of_times(tmp_path: Path, tiny_base: Path) -> None:
    project = prepared(tmp_path, tiny_base, made(100))
    told, asked = run(project, reply=flaky)
    assert 1 < max(asked.values()) <= 1 + WIDE.retries
    assert told["instructions"]["statuses"]["failed"] < 20
    assert table(project, "pairs")["id"].to_list() == originals(project)["id"].to_list()
    before = {name: table(project, name) for name in STAGES}
    lost = {prompt for prompt in asked if isinstance(flaky(prompt, WIDE.seed), Failure)}
    again = run(project, reply=flaky)[1]
    assert set(again) <= lost | {p for p in asked if isinstance(flaky(p, WIDE.seed + 1), Failure)}, (
        "only what never came"
    )
    assert all(table(project, name).equals(frame) for name, frame in before.items())


def test_acceptance_8_an_interrupted_run_ends_like_an_uninterrupted_one(tmp_path: Path, tiny_base: Path) -> None:
    whole, broken = (prepared(tmp_path / name, tiny_base) for name in ("whole", "broken"))
    engine = changed(FAKE, max_rows=2)
    run(whole, engine=engine)
    replies = Counter[str]()

    def dying(prompt: str, seed: int) -> str:
        replies[prompt] += 1
        if replies.total() == 7:
            raise KeyboardInterrupt
        return better(prompt)

    with pytest.raises(KeyboardInterrupt):
        run(broken, engine=engine, reply=dying)
    asked = run(broken, engine=engine)[1]
    done = [prompt for prompt in replies if prompt not in asked]
    assert len(done) == 6, "three finished batches of two rows"
    for name in STAGES:
        assert table(broken, name).equals(table(whole, name))


def test_an_oracle_that_is_gone_stops_the_stage(tmp_path: Path, tiny_base: Path) -> None:
    project = prepared(tmp_path, tiny_base)

    def gone(prompt: str, seed: int) -> Failure:
        return Failure("timeout", "made up")

    with pytest.raises(TooManyFailed, match=r"no reply to 12 of 12 pairs") as caught, replying(gone):
        instructions(project, WIDE, FAKE)
    assert "\n" not in str(caught.value)


def test_acceptance_9_the_answers_are_as_many_as_the_pairs(tmp_path: Path, tiny_base: Path) -> None:
    project = prepared(tmp_path, tiny_base, made(50))
    told, _ = run(project, reply=flaky)
    assert told["answers"]["statuses"]["failed"] > 0
    assert table(project, "answers")["id"].to_list() == table(project, "by_ifd")["id"].to_list()


def test_acceptance_11_the_counts_tell_what_reflection_did(tmp_path: Path, tiny_base: Path) -> None:
    project = prepared(tmp_path, tiny_base, made(60))
    told, _ = run(project, PARAMS.reflection, reply=flaky)
    counts = told["pairs"]
    assert list(counts["outcomes"]) == list(OUTCOMES)
    assert sum(row["pairs"] for row in counts["outcomes"].values()) == counts["rows_in"] == 60
    assert sum(row["as_published"] for row in counts["outcomes"].values()) == counts["kept"]
    unwritten = sum(counts["outcomes"][name]["pairs"] for name in ("instruction", "original"))
    assert counts["reasons"]["unreflected"] == unwritten > 0
    for step in ("instructions", "answers"):
        assert sum(told[step]["statuses"].values()) == 60
        assert sum(told[step]["refused"].values()) == told[step]["statuses"]["failed"] > 0
    first, second = table(project, "by_ifd"), table(project, "by_rifd")
    last = pl.when(pl.col("choice") == "new").then("new_output").otherwise("old_output").str.len_chars().mean()
    assert counts["compared"]["answer_chars"] == {
        "before": pytest.approx(first["old_output"].str.len_chars().mean(), abs=1e-3),
        "after": pytest.approx(second.select(last).item(), abs=1e-3),
    }
    text = report(counts)
    assert all(name in text for name in (*OUTCOMES, "answer_chars", "as published", "keep_unreflected"))


def test_every_row_that_is_not_reflected_says_why(tmp_path: Path, tiny_base: Path) -> None:
    rows = made(6)
    long = "很长的回答。" * 400
    rows = rows.with_columns(
        output=pl.Series(["  ", long, *rows["output"][2:]]),
        instruction=pl.Series([*rows["instruction"][:2], *rows["instruction"][2:]]),
    )
    project = prepared(tmp_path, tiny_base, rows)
    told, asked = run(project, changed(WIDE, limit=4))
    ids = rows["id"].to_list()
    assert reasons(project, "reflection/instructions") == {ids[0]: "empty_pair", ids[5]: "limit"}
    first = table(project, "instructions").row(0, named=True)
    assert (first["id"], first["status"], first["reason"], first["tries"]) == (ids[1], "failed", "prompt_too_long", 0)
    assert not any(long in prompt for prompt in asked)
    assert table(project, "by_ifd").row(0, named=True)["reason"] == "prompt_too_long"
    assert told["instructions"]["statuses"] == {"new": 3, "failed": 1}


def test_answers_alone_are_rewritten_on_request(tmp_path: Path, tiny_base: Path) -> None:
    project = prepared(tmp_path, tiny_base)
    told, asked = run(project, changed(WIDE, instructions=False))
    assert told["instructions"]["statuses"] == {"skipped": 12}
    assert not any(map(rewrites, asked))
    done = table(project, "pairs")
    assert done.select("id", "instruction", "input").equals(originals(project).select("id", "instruction", "input"))
    assert told["pairs"]["outcomes"]["answer"]["pairs"] > 0


def test_markers_are_read_as_records_are(tmp_path: Path, tiny_base: Path) -> None:
    def marked(prompt: str, seed: int) -> str:
        record = json.loads(better(prompt))
        head, answer = record["critique"], record["answer"]
        assert ("JSON" in prompt) is False
        if not rewrites(prompt):
            return f"{head}\n[更好的回答] {answer} [结束]"
        return f"{head}\n[新指令] {record['instruction']} [结束]\n[新回答] {answer} [结束]"

    by_schema, by_markers = (prepared(tmp_path / name, tiny_base) for name in ("schema", "markers"))
    run(by_schema, changed(WIDE, reply="schema"))
    run(by_markers, changed(WIDE, reply="markers"), reply=marked)
    for name in ("instructions", "by_ifd", "pairs"):
        assert table(by_schema, name).equals(table(by_markers, name))


def test_acceptance_12_no_choice_hangs_on_the_order_of_rows(tmp_path: Path, tiny_base: Path) -> None:
    rows = made(24)
    one, other = prepared(tmp_path / "one", tiny_base, rows), prepared(tmp_path / "other", tiny_base, rows.reverse())
    run(one)
    run(other, engine=changed(FAKE, max_rows=3))
    for name in ("by_ifd", "by_rifd", "pairs"):
        assert table(one, name).sort("id").equals(table(other, name).sort("id"))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Project:
    """Rewritten by a made oracle, chosen by the tiny model; the last answer is three times as long as the student can read."""
    rows = made(8, given=GIVEN)
    long = rows["output"].to_list()
    long[-1] = long[-1] * 30
    project = prepared(tmp_path_factory.mktemp("real"), tiny_base, rows.with_columns(output=pl.Series(long)))
    losses = changed(PARAMS.losses, max_length=400)
    params = changed(WIDE, margin=0.0)
    with replying(better):
        instructions(project, params, FAKE)
    by_ifd(project, params, losses, HF)
    with replying(better):
        answers(project, params, FAKE)
    by_rifd(project, params, losses, HF)
    pairs(project, params)
    return project


def test_acceptance_7_accepted_versions_score_better_when_scored_alone(real: Project) -> None:
    losses = changed(PARAMS.losses, max_length=400, reversed=True)
    for name, score, better_is in (("by_ifd", "ifd", 1), ("by_rifd", "rifd", -1)):
        frame = table(real, name)
        accepted = frame.filter(pl.col("choice") == "new")
        for row in accepted.iter_rows(named=True):
            found = []
            for version in ("old", "new"):
                texts = {key: [row[f"{version}_{key}"]] for key in TEXTS}
                alone = ModelStage(real, "alone", changed(HF, max_rows=1), None)
                told = pair_losses(alone, pl.DataFrame({"id": [row["id"]], **texts}), losses)
                assert told is not None
                found.append(with_scores(told)[f"{score}_ppl"][0])
                assert found[-1] == pytest.approx(row[f"{version}_{score}"], rel=1e-4), "acceptance 5 and 12"
            assert (found[1] - found[0]) * better_is > 0
    assert not table(real, "by_rifd").filter(pl.col("choice") == "new").is_empty()


def test_acceptance_6_a_long_answer_has_a_reversed_score(real: Project) -> None:
    row = table(real, "by_ifd").row(-1, named=True)
    assert len(row["old_output"]) > 3 * 400
    assert row["old_rifd"] > 0 and row["old_ifd"] > 0


def test_pairs_that_the_student_cannot_score_are_dropped_with_reason(tmp_path: Path, tiny_base: Path) -> None:
    rows = made(4).with_columns(instruction=pl.Series(["问" * 1500, *made(4)["instruction"][1:]]))
    project = prepared(tmp_path, tiny_base, rows)
    run(project)
    assert reasons(project, "reflection/by_ifd") == {rows["id"][0]: "old_unscored"}
    assert ledger(project, "reflection/by_ifd")["value"].to_list() == ["prompt_too_long"]


def test_mistakes_end_in_one_line(tmp_path: Path, tiny_base: Path) -> None:
    project = prepared(tmp_path, tiny_base)
    with pytest.raises(InputError, match=r"has no input, output"):
        store(project, "labelled", pl.DataFrame({"id": ["a"], "instruction": ["b"], "finish": ["stop"], "n_new": [1]}))
        instructions(project, changed(WIDE, pairs="data/labelled"), FAKE)
    with pytest.raises(ConfigError, match=r"losses\.model is none"), replying(better):
        instructions(project, WIDE, FAKE)
        by_ifd(project, WIDE, changed(PARAMS.losses, model="none"), FAKE)
    store(project, "pairs", made(3))
    with pytest.raises(InputError, match="of different runs"):
        by_ifd(project, WIDE, PARAMS.losses, FAKE)


def test_seeds_are_pairs_too(tmp_path: Path, tiny_base: Path) -> None:
    project = prepared(tmp_path, tiny_base)
    rows = made(4).select("id", *TEXTS, "source").with_columns(origin=pl.lit("x:1"), split=pl.lit("train"))
    store(project, "seeds", rows)
    with replying(better):
        counts = instructions(project, changed(WIDE, pairs="data/seeds"), FAKE)
        by_ifd(project, changed(WIDE, pairs="data/seeds"), PARAMS.losses, FAKE)
    assert counts is not None and counts["rows_in"] == 4
    assert set(table(project, "by_ifd")["licence"]) == {"unknown"}


def test_the_prompt_shows_what_the_old_version_is(tmp_path: Path, tiny_base: Path) -> None:
    project = prepared(tmp_path, tiny_base)
    _, asked = run(project, reply=unchanged)
    first = {tuple(shown(prompt).values()) for prompt in asked if rewrites(prompt)}
    merged = {(f"{i}\n{g}" if g else i, "", o) for _, i, g, o in originals(project).iter_rows()}
    assert first == merged
    assert {tuple(shown(prompt).values()) for prompt in asked if not rewrites(prompt)} == set(
        originals(project).select(TEXTS).iter_rows()
    )


SCORED = {("old", "old"): "original", ("new", "new"): "instruction", ("old", "new"): "answer", ("new", "newer"): "both"}
"""(instruction, answer) -> the version that it is, for `settled`."""


def settled(scores: dict[str, dict[str, float | None]]) -> Any:
    """`pair_losses` by a table: version -> its IFD and reversed IFD."""

    def losses(stage: object, frame: pl.DataFrame, params: object) -> pl.DataFrame:
        known = [scores[SCORED[asked, answer]] for asked, answer in frame.select("instruction", "output").iter_rows()]
        means = {
            f"s_{side}{kind}": [
                None if one[name] is None else base + math.log(one[name]) * (kind == "cond") for one in known
            ]
            for side, name in (("", "ifd"), ("r", "rifd"))
            for kind, base in (("cond", 2.0), ("direct", 2.0))
        }
        rest = {"n_answer": 9, "n_instruction": 9, "truncated": False, "template": "t", "scorer": "s"}
        told = {"id": frame["id"], "reason": "ok", "reason_reversed": "ok", **rest, **means}
        return conform(pl.DataFrame(told, schema_overrides=dict.fromkeys(means, pl.Float64)), LOSSES)

    return losses


HARDER = {
    "original": {"ifd": 0.5, "rifd": 0.8},
    "instruction": {"ifd": 0.6, "rifd": 0.8},
    "answer": {"ifd": 0.9, "rifd": 0.7},
    "both": {"ifd": 0.9, "rifd": 0.7},
}
"""The student takes the new instruction, then the new answer."""
EASIER = HARDER | {"instruction": {"ifd": 0.4, "rifd": 0.8}}
"""It keeps the old instruction and takes the new answer."""


@pytest.mark.parametrize(
    ("scores", "version", "score", "end"),
    [
        (HARDER, "", "", "both"),
        (EASIER, "", "", "answer"),
        (HARDER, "original", "ifd", "by_ifd: old_unscored"),
        (EASIER, "original", "rifd", "by_rifd: old_unscored"),
        (HARDER, "original", "rifd", "both"),
        (HARDER, "instruction", "ifd", "answer"),
        (HARDER, "instruction", "rifd", "by_rifd: old_unscored"),
        (EASIER, "answer", "ifd", "pairs: ifd"),
        (EASIER, "answer", "rifd", "original"),
        (HARDER, "both", "ifd", "pairs: ifd"),
        (HARDER, "both", "rifd", "instruction"),
    ],
)
def test_acceptance_2_each_missing_score_has_its_end(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch, scores: Any, version: str, score: str, end: str
) -> None:
    given = {name: one | ({score: None} if name == version else {}) for name, one in scores.items()}
    monkeypatch.setattr("kun.reflection.student.pair_losses", settled(given))
    rows = made(1).with_columns(instruction=pl.lit("old"), output=pl.lit("old"))
    project = prepared(tmp_path, tiny_base, rows)

    def newer(prompt: str, seed: int) -> str:
        if rewrites(prompt):
            return json.dumps({"critique": "", "instruction": "new", "answer": "new"})
        return json.dumps({"critique": "", "answer": "newer" if shown(prompt)["instruction"] == "new" else "new"})

    params = changed(WIDE, min_instruction=0, min_answer=0, max_repeated=1.0)
    told, _ = run(project, params, reply=newer)
    ends = [f"{name}: {reason}" for name in STAGES for reason in reasons(project, f"reflection/{name}").values()]
    ends += [name for name, row in told["pairs"]["outcomes"].items() if row["keep_unreflected"]]
    assert ends == [end]
