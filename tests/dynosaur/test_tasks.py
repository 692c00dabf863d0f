import polars as pl
import pytest

from kun.dynosaur.tasks import copied, tasks
from kun.project import Project
from kun.tables.shards import read_dataset
from tests.dynosaur.conftest import REPLIES, write_replies
from tests.dynosaur.made_datasets import fruit_rows, params, reply
from tests.made import ledger


def made(project: Project) -> pl.DataFrame:
    tasks(project, params())
    return read_dataset(project.dataset("dynosaur/tasks"))


def test_valid_tasks_come_out_with_labels_and_steps(answered: Project) -> None:
    counts = tasks(answered, params())
    assert (counts["rows_in"], counts["kept"], counts["reasons"]) == (5, 4, {"same_task": 1})
    rows = read_dataset(answered.dataset("dynosaur/tasks"))
    told = {row["output_field"]: row for row in rows.iter_rows(named=True)}
    assert told["类别"]["instruction"] == "判断它属于哪一类。答案必须是以下之一：水果、蔬菜。"
    assert (told["类别"]["kind"], told["类别"]["labels"]) == ("label", ["水果", "蔬菜"])
    assert (told["名称"]["instruction"], told["名称"]["kind"]) == ("根据样子说出名称。", "text")
    assert (told["look"]["lang"], told["look"]["step"]) == ("en", 2)


def test_ids_hang_on_nothing_but_the_task(answered: Project) -> None:
    before = made(answered)
    write_replies(answered, {("fruit", "unaware"): REPLIES["fruit", "unaware"]})
    after = made(answered)
    assert set(after["id"]) < set(before["id"])


@pytest.mark.parametrize(
    ("text", "finish", "reason"),
    [
        ("", "empty", "empty"),
        ("no idea", "stop", "not_json"),
        ('{"task1": {"instr', "length", "cut_off"),
        ("{}", "stop", "no_tasks"),
        ('{"task1": 3}', "stop", "malformed_task"),
        (reply(("图片里是什么？", ["名称"], "类别")), "stop", "other_modality"),
        (reply(("说出它的编号。", ["名称"], "id")), "stop", "unknown_field"),
        (reply(("红色，脆甜", ["名称"], "样子")), "stop", "copied_from_rows"),
    ],
)
def test_every_lost_task_has_its_reason(project: Project, text: str, finish: str, reason: str) -> None:
    write_replies(project, {("fruit", "unaware"): text}, finish)
    counts = tasks(project, params(min_words=2))
    assert (counts["rows_in"], counts["kept"], counts["reasons"]) == (1, 0, {reason: 1})
    assert ledger(project, "dynosaur/tasks")["source"].to_list() == ["fruit"]


def test_long_labels_are_not_listed_in_the_instruction(answered: Project) -> None:
    tasks(answered, params(max_label_chars=1))
    rows = read_dataset(answered.dataset("dynosaur/tasks"))
    assert "判断它属于哪一类。" in rows["instruction"].to_list()


def test_an_instruction_is_no_value_of_a_row() -> None:
    assert copied("红色 脆甜", fruit_rows()) is not None
    assert copied("说出它的颜色。", fruit_rows()) is None
