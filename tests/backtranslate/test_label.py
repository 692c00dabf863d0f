from pathlib import Path

import polars as pl
import pytest

from kun.backtranslate.label import label, label_prompt
from kun.engine.base import Sampling
from kun.errors import ModelError, OutOfMemory
from kun.project import Project
from kun.tables.shards import read_dataset
from kun.work.engines import load_engine
from kun.work.stage import ModelStage
from tests.made import FAKE, HF, PARAMS, assert_conserved, changed, ledger, pinned, prose, reasons, store, texts


@pytest.fixture
def project(tmp_path: Path, tiny_base: Path) -> Project:
    project = pinned(tmp_path, tiny_base)
    store(project, "corpus", texts(prose(10)))
    project.adapter("label").mkdir(parents=True)
    for file in tiny_base.iterdir():  # a fully fine-tuned label model that learned nothing
        (project.adapter("label") / file.name).write_bytes(file.read_bytes())
    return project


def test_each_text_gets_what_the_model_writes_for_it(project: Project) -> None:
    params = changed(PARAMS.label, temperature=1.0, max_new_tokens=16, repetition_penalty=1.1)
    counts = label(project, params, changed(HF, max_rows=3))
    rows = read_dataset(project.dataset("corpus"))
    assert counts is not None
    assert_conserved(project, "label", "labelled", rows["id"].to_list(), counts)
    model = load_engine(project, HF, "label")
    sampling = Sampling(16, 1.0, params.top_p, 1.1, params.seed)
    labelled = {row["id"]: row for row in read_dataset(project.dataset("labelled")).iter_rows(named=True)}
    for row in rows.iter_rows(named=True):
        (done,) = model.generate([model.chat(label_prompt(row["text"], "zh"))], sampling)  # type: ignore[attr-defined]
        found = labelled[row["id"]]
        assert (found["instruction"], found["finish"], found["n_new"]) == (done.text, done.finish, done.n_new)
    assert {"stop", "length"} >= {row["finish"] for row in labelled.values()}
    assert len({row["instruction"] for row in labelled.values()}) > 5


def test_limit_takes_the_first_rows_and_says_so(project: Project) -> None:
    ids = read_dataset(project.dataset("corpus"))["id"].to_list()
    counts = label(project, changed(PARAMS.label, limit=4), FAKE)
    assert counts is not None and counts["reasons"] == {"limit": 6}
    assert read_dataset(project.dataset("labelled"))["id"].to_list() == ids[:4]
    assert list(reasons(project, "label")) == ids[4:]


def test_a_text_that_leaves_no_room_for_the_reply_never_reaches_the_model(project: Project) -> None:
    rows = store(project, "corpus", texts(["河水流过山谷。", "河" * 500, "河" * 501]))
    tokens = ModelStage(project, "label", FAKE, None).tokens
    size = tokens.count([tokens.chat(label_prompt("河" * 500, "zh"))])[0]
    label(project, PARAMS.label, changed(FAKE, context=size + PARAMS.label.max_new_tokens))
    assert reasons(project, "label") == {rows["id"][2]: "prompt_too_long"}
    assert ledger(project, "label").select("value", "threshold").row(0) == (str(size + 1), str(size))


def test_rows_that_do_not_fit_into_memory_are_failed_rows(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from kun.engine.fake import FakeModel

    own = FakeModel.generate
    heavy = read_dataset(project.dataset("corpus")).row(3, named=True)

    def generate(self: FakeModel, prompts: list[str], sampling: Sampling) -> object:
        if any(heavy["text"] in prompt for prompt in prompts):
            raise OutOfMemory("no room")
        return own(self, prompts, sampling)

    monkeypatch.setattr(FakeModel, "generate", generate)
    counts = label(project, PARAMS.label, changed(FAKE, max_failed_share=0.1))
    assert counts is not None
    assert (counts["kept"], counts["dropped"], counts["failed"]) == (9, 0, 1)
    row = ledger(project, "label").row(0, named=True)
    assert (row["id"], row["status"], row["reason"]) == (heavy["id"], "failed", "out_of_memory")
    monkeypatch.undo()
    again = label(project, PARAMS.label, FAKE)
    assert again is not None and again["failed"] == 0, "failed rows are tried again"


def test_a_change_computes_exactly_the_rows_that_it_concerns(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from kun.engine.fake import FakeModel

    asked: list[str] = []
    own = FakeModel.generate

    def generate(self: FakeModel, prompts: list[str], sampling: Sampling) -> object:
        asked.extend(prompts)
        return own(self, prompts, sampling)

    monkeypatch.setattr(FakeModel, "generate", generate)

    def computed(**values: object) -> int:
        asked.clear()
        label(project, changed(PARAMS.label, **values), FAKE)
        return len(asked)

    assert computed() == 10
    assert computed() == 0
    assert computed(limit=5) == 0, "which rows are asked for changes no result"
    rows = read_dataset(project.dataset("corpus"))["text"].to_list()
    store(project, "corpus", texts([*rows[:4], "河水流过山谷。", *rows[5:]]))
    assert computed() == 1
    assert "河水流过山谷。" in asked[0]
    store(project, "corpus", texts(rows[::-1]))
    assert computed() == 0, "nor does their order"
    assert computed(seed=8) == 10
    assert computed(max_new_tokens=20) == 10
    assert computed() == 0, "the old results are still there"
    weights = project.adapter("label") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert computed() == 10, "another label model"


def test_without_pin_or_adapter_the_fix_is_named(project: Project) -> None:
    for file in project.adapter("label").iterdir():
        file.unlink()
    with pytest.raises(ModelError) as caught:
        label(project, PARAMS.label, HF)
    assert "models/label" in str(caught.value) and "\n" not in str(caught.value)
    assert "kun train label" in str(caught.value)
    project.base.unlink()
    with pytest.raises(ModelError, match="run `kun base` first"):
        label(project, PARAMS.label, FAKE)


def test_equal_texts_are_labelled_alike(project: Project) -> None:
    store(project, "corpus", texts(["河水流过山谷。"] * 3))
    label(project, PARAMS.label, FAKE)
    labelled = read_dataset(project.dataset("labelled"))
    assert labelled["id"].n_unique() == 3
    assert labelled["instruction"].n_unique() == 1
    assert labelled.schema["n_new"] == pl.Int64
