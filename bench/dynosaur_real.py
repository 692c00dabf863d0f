"""Dynosaur on datasets of others: what its filters leave, and that a dataset costs its own model calls, once.

`python bench/dynosaur_real.py REALDATA [--teacher NAME]`, in the project's folder: REALDATA holds the files that SETS and LISTS
name. They become folders with a card under .bench/dynosaur, where the stages run as `pipelines/dynosaur/dvc.yaml` runs them:
once, once more (no calls), and with one dataset added (its calls alone). Licences are those of the data; cards without rows
count under the licence of the list that they come from, which is where the model's instructions come from as well.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from kun.project import Project

HOME = Path(".bench/dynosaur")
STAGES = ("datasets", "proposals", "tasks", "pairs")
ROWS = 300  # of a file; more than dynosaur.max_rows
ALLOWED = ["unlicense", "academic-use"]  # beside dynosaur.allow

Row = dict[str, Any]


@dataclass(frozen=True)
class Dataset:
    """One file of others as a folder with a card."""

    name: str
    file: str
    licence: str
    """As the card says it; "" says nothing."""
    lang: str
    summary: str
    table: str
    """Format of its rows."""
    shape: Callable[[Row], Row | None]
    """Its fields from a row of the file; None: the row has no such form."""
    names: tuple[str, tuple[str, ...]] = ("", ())
    """A field and the names of its integer labels."""


def fields(*names: str) -> Callable[[Row], Row]:
    """These, as they are."""
    return lambda row: {name: row[name] for name in names}


def corrected(row: Row) -> Row:
    """The first of several corrections."""
    return {"id": row["id"], "text": row["text"], "correction": row["refs"][0]}


def consultation(row: Row) -> Row | None:
    """A department, and what stands behind 问 and 答."""
    found = re.fullmatch(r"(.+)\n问：(.+)\n答：(.+)", row["text"], re.DOTALL)
    return found and {"department": row["dept"], "title": found[1], "question": found[2], "answer": found[3]}


def command(row: Row) -> Row | None:
    """A page of the manual: name, purpose, the rest."""
    found = re.match(r"(\S+)\n===+\n\n(.+?)\n\n##[^\n]*\n\n(.+)", row["text"], re.DOTALL)
    return found and {"command": found[1], "purpose": found[2], "page": found[3]}


def recipe(row: Row) -> Row | None:
    """The head of a recipe and its list of ingredients."""
    found = re.match(r"# (.+?)的做法\n\n(.+?)\n\n.*?## 必备原料和工具\n\n(.+?)\n\n##", row["text"], re.DOTALL)
    return found and {
        "dish": found[1],
        "introduction": found[2],
        "ingredients": re.findall(r"^[*-] (.+)", found[3], re.MULTILINE),
    }


SETS = [
    Dataset("mucgec", "gold/mucgec_dev_grammar.jsonl", "apache-2.0", "zh",
            "汉语学习者写的句子，可能有语法错误，以及改正后的句子。", "jsonl", corrected),
    Dataset("coldataset", "gold/coldataset_test_2000.jsonl", "apache-2.0", "zh",
            "中文社交平台上关于种族、性别、地域的评论，标明是否冒犯他人。", "csv", fields("text", "label", "topic"),
            ("label", ("不冒犯", "冒犯"))),
    Dataset("lcqmc", "gold/lcqmc_dev_2000.jsonl", "other", "zh",
            "成对的中文问句，标签说明两句意思是否相同：1表示相同，0表示不同。", "tsv", fields("text1", "text2", "label")),
    Dataset("medical_dialogue", "raw_zh/forum_medical_qa.jsonl", "mit", "zh",
            "网上问诊：科室、标题、病人的提问和医生的回答。", "jsonl.gz", consultation),
    Dataset("linux_command", "raw_zh/howto_linux_command_md.jsonl", "mit", "zh",
            "Linux命令手册：命令名、用途和说明页。", "json", command),
    Dataset("howtocook", "raw_zh/howto_recipes_md.jsonl", "unlicense", "zh",
            "程序员的菜谱：菜名、介绍，以及原料和工具。", "jsonl", recipe),
    Dataset("cmrc2018_passages", "raw_zh/wiki_cmrc2018_hans.jsonl", "cc-by-sa-4.0", "zh",
            "维基百科的段落和条目名。", "parquet", fields("title", "text")),
    Dataset("llmbar", "gold/llmbar_en_419.jsonl", "mit", "en",
            "Instructions with two outputs of models; the label says which output people prefer.", "jsonl",
            fields("input", "output_1", "output_2", "label")),
    Dataset("pandalm", "gold/pandalm_human_pref_en.jsonl", "apache-2.0", "en",
            "Instructions with two responses and the verdicts of three annotators: 0 a tie, 1 or 2 the better response.", "csv",
            fields("idx", "motivation_app", "instruction", "input", "response1", "response2", "annotator1")),
    Dataset("glan_questions", "glan/GLAN_Instructions_English_16_Samples_5c63.jsonl", "mit", "en",
            "Homework questions with subject, subtopics, level and answer.", "parquet",
            fields("subject", "subtopics", "level", "question", "answer")),
    Dataset("alpaca", "alpaca_en.jsonl", "cc-by-nc-4.0", "en",
            "Instructions with inputs and outputs.", "jsonl", fields("instruction", "input", "output")),
    Dataset("bq", "gold/bq_dev_2000.jsonl", "other", "zh",
            "成对的银行客服问句，标签说明意思是否相同。", "jsonl", fields("text1", "text2", "label")),
    Dataset("reviews", "raw_zh/reviews_waimai_hotel.jsonl", "", "zh",
            "外卖和酒店的评论。", "jsonl", fields("text", "source")),
]  # fmt: skip
ADDED = Dataset("drcd_passages", "raw_zh/wiki_drcd_hant.jsonl", "cc-by-sa-3.0", "zh-Hant",
                "維基百科的段落和條目名。", "jsonl", fields("title", "text"))  # fmt: skip
LICENCES = {"lcqmc": "academic-use"}
LISTS = {"paddlenlp": "dynosaur/paddlenlp_dataset_cards.jsonl", "coig_cqia": "dynosaur/coig_cqia_dataset_infos.json"}
LICENSED_LISTS = {"paddlenlp": "apache-2.0"}


def write_folder(dataset: Dataset, data: Path) -> None:
    """data/datasets/<name>: a card, and the first rows of the file in the dataset's format."""
    folder = HOME / "data/datasets" / dataset.name
    folder.mkdir(parents=True)
    field, labels = dataset.names
    label = {"name": field, "dtype": {"class_label": {"names": {str(n): name for n, name in enumerate(labels)}}}}
    front = {"language": dataset.lang} | ({"license": dataset.licence} if dataset.licence else {})
    front |= {"dataset_info": {"features": [label]}} if field else {}
    card = f"---\n{yaml.safe_dump(front, allow_unicode=True)}---\n\n## Dataset Summary\n\n{dataset.summary}\n"
    (folder / "README.md").write_text(card, encoding="utf-8")
    shaped = (dataset.shape(row) for row in lines(data / dataset.file))
    write_table(pl.DataFrame([row for row in shaped if row][:ROWS]), folder / f"train.{dataset.table}")


def lines(path: Path) -> Iterator[Row]:
    """Records of a jsonl file."""
    return map(json.loads, path.read_text(encoding="utf-8").splitlines())


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """In the format that the name says."""
    writers: dict[str, Callable[[], Any]] = {
        ".parquet": lambda: frame.write_parquet(path),
        ".csv": lambda: frame.write_csv(path),
        ".tsv": lambda: frame.write_csv(path, separator="\t", quote_style="never"),
        ".json": lambda: frame.write_json(path),
        ".jsonl": lambda: frame.write_ndjson(path),
        ".gz": lambda: frame.write_ndjson(path, compression="gzip"),
    }
    writers[path.suffix]()


def write_lists(data: Path) -> dict[str, str]:
    """cards/<list>.jsonl; the licence of each card whose list has one."""
    (HOME / "cards").mkdir()
    licences = {}
    for name, file in LISTS.items():
        text = (data / file).read_text(encoding="utf-8")
        cards = list(lines(data / file)) if file.endswith(".jsonl") else infos(name, json.loads(text))
        listed = "".join(f"{json.dumps(card, ensure_ascii=False)}\n" for card in cards)
        (HOME / f"cards/{name}.jsonl").write_text(listed, encoding="utf-8")
        licences |= {card["dataset"]: LICENSED_LISTS[name] for card in cards if name in LICENSED_LISTS}
    return licences


def infos(name: str, configs: Row) -> list[Row]:
    """Cards from a dataset_infos.json."""
    return [{"dataset": f"{name}-{config}", "features": list(info["features"])} for config, info in configs.items()]


def build(data: Path, teacher: str, constrain: str) -> None:
    """A new project with params.yaml of this one, the datasets and lists, and an empty scratch but for the models."""
    shutil.rmtree(HOME, ignore_errors=True)
    for dataset in SETS:
        write_folder(dataset, data)
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    asked = params["dynosaur"]
    asked |= {"cards": [f"cards/{name}.jsonl" for name in LISTS], "licences": write_lists(data) | LICENCES}
    asked |= {"allow": asked["allow"] + ALLOWED, "constrain": constrain}
    params["model"]["teacher"] = teacher
    (HOME / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True), encoding="utf-8")
    (HOME / "data/eval").symlink_to(Path("data/eval").resolve())
    (HOME / "scratch").mkdir()
    (HOME / "scratch/models").symlink_to(Path(".kun/models").resolve())
    kun("base")
    kun("teacher")


def kun(*words: str) -> None:
    """A command, as a stage of DVC starts it."""
    environment = os.environ | {"KUN_SCRATCH": str((HOME / "scratch").resolve()), "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-m", "kun", *words], cwd=HOME, env=environment, check=True)


def run() -> int:
    """All stages; how many prompts the model has answered."""
    for stage in STAGES:
        kun("dynosaur", stage)
    work = json.loads(Project(HOME).work("dynosaur/proposals").read_text())
    return round(work["rows"] * (1 - work["from_scratch"]))


def told() -> Iterator[tuple[str, int, float]]:
    """Lines of a table: what, how many, as a share of what came into its stage."""
    for stage in STAGES:
        counts = json.loads(Project(HOME).counts(f"dynosaur/{stage}").read_text())
        rows = [("in", counts["rows_in"]), ("kept", counts["kept"]), *counts["reasons"].items()]
        if stage == "pairs":
            rows += [(f"kept of {source}", own["kept"]) for source, own in counts["by_source"].items()]
        yield from ((f"{stage}: {name}", count, count / counts["rows_in"]) for name, count in rows)


def main() -> None:
    """The table of the first run, then the calls of all three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("realdata", type=Path)
    parser.add_argument("--teacher", default="", help="as model.teacher; the base model writes when it is not given")
    parser.add_argument("--constrain", default="fields", help="as dynosaur.constrain")
    asked = parser.parse_args()
    build(asked.realdata, asked.teacher, asked.constrain)
    calls = {"first run": run()}
    table = list(told())
    calls["second run"] = run()
    write_folder(ADDED, asked.realdata)
    calls[f"with {ADDED.name}"] = run()
    for name, count, share in table:
        print(f"{name:<44}{count:>7,}{share:>7.0%}")
    for name, count in calls.items():
        print(f"model calls, {name:<31}{count:>7,}")


if __name__ == "__main__":
    main()
