"""Near-duplicates: documents a second, recall of planted copies and wrong removals, kun beside other libraries.

`python bench/corpus.py FOLDER` plants copies in the .jsonl files of FOLDER (field `text`): width changes, added boilerplate,
swapped paragraphs, 2, 5 and 10% of the characters edited; and short forms whose fillings differ in one fact. Each contender is a
script of bench/peers that runs in an environment of its own (`make bench-peers`) and says which texts it would drop; one without
an environment is skipped. `--limit 2000` takes a sample of the texts, `--only kun,rensa` some of the contenders.

Recall of a kind: a copy or its original is dropped. `one fact`: the share of the fillings that are dropped; none should. `wrong`:
texts, other than planted ones, that are dropped though no single text that stays has 0.4 of their shingles, so that what they say
is lost. `right, long`: of all dropped texts of at least 200 shingles the share of which that much remains.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kun.config import load_params
from kun.corpus.letters import bare
from kun.corpus.minhash import shingle_words
from kun.corpus.text import normalise

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / ".bench"
CONTENDERS = "kun", "datasketch", "rensa", "datajuicer", "datatrove"
MIN_LETTERS = 20
MIN_COPIED = 200  # letters; a shorter copy with one edit cannot be told from another fact
COPIES = 300  # of each kind
REST = 0.4  # of a dropped text's shingles that one of the texts that stay should have
TEMPLATES = (
    "{name}老师在{place}教了{year}年的书，学生们都说他讲课清楚，批改作业也很认真。",
    "从{place}到省城的班车每天{year}点发车，票价便宜，周末人多的时候最好提前买票。",
    "本店位于{place}，店长{name}介绍说，招牌菜的做法已经传了{year}年，客人来了都会点上一份。",
    "通知：原定于{year}日在{place}举行的会议改期，联系人{name}，请大家相互转告，不要跑空。",
)
NAMES = [a + b for a in "王李张刘陈杨赵黄周吴" for b in ("伟", "芳", "秀英", "建国", "敏", "志强")]
PLACES = [
    "昆明",
    "大理",
    "丽江",
    "贵阳",
    "遵义",
    "成都",
    "乐山",
    "西安",
    "延安",
    "兰州",
    "敦煌",
    "银川",
    "太原",
    "大同",
]
BOILERPLATE = "本文由网友上传，版权归原作者所有，如有侵权请联系管理员删除。", "点击查看更多精彩内容，欢迎收藏转发。"


def read(folder: Path) -> list[str]:
    """Normalised texts of all .jsonl files, in order, without such as equal an earlier one."""
    texts: dict[str, None] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.open(encoding="utf-8"):
            text = normalise(str(json.loads(line).get("text", "")))
            if len(bare(text)) >= MIN_LETTERS:
                texts.setdefault(text)
    return list(texts)


def edited(source: random.Random, text: str, share: float) -> str:
    """That share of the characters replaced by common ones."""
    letters = list(text)
    for place in source.sample(range(len(letters)), max(1, round(len(letters) * share))):
        letters[place] = source.choice("的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出")
    return "".join(letters)


def swapped(source: random.Random, text: str) -> str:
    """Its sentences in three pieces, in another order."""
    cuts = [place + 1 for place, letter in enumerate(text) if letter in "。！？\n" and 0 < place < len(text) - 2]
    if len(cuts) < 2:
        return text
    first, second = sorted(source.sample(cuts, 2))
    return text[second:] + text[:first] + text[first:second]


def widened(source: random.Random, text: str) -> str:
    """Half of the ASCII letters and digits in full width, as pasted from a form."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" and source.random() < 0.5 else c for c in text)


COPIERS: dict[str, Callable[[random.Random, str], str]] = {
    "width": widened,
    "boilerplate": lambda source, text: f"{BOILERPLATE[0]}\n{text}\n{BOILERPLATE[1]}",
    "swapped": swapped,
    "2%": lambda source, text: edited(source, text, 0.02),
    "5%": lambda source, text: edited(source, text, 0.05),
    "10%": lambda source, text: edited(source, text, 0.10),
}


def planted(texts: Sequence[str], seed: int) -> tuple[list[str], dict[str, dict[int, int]], range]:
    """All texts, the copies of each kind (index -> index of the original), and where the one-fact templates lie."""
    source = random.Random(seed)
    everything, copies = list(texts), {}
    for kind, copier in COPIERS.items():
        long = [place for place, text in enumerate(texts) if len(bare(text)) >= MIN_COPIED]
        chosen = source.sample(long, min(COPIES, len(long)))
        copies[kind] = {len(everything) + place: original for place, original in enumerate(chosen)}
        everything += [normalise(copier(source, texts[original])) for original in chosen]
    first = len(everything)
    facts = []
    for template in TEMPLATES:
        base = {"name": NAMES[0], "place": PLACES[0], "year": "12"}
        facts.append(template.format(**base))
        facts += [template.format(**base | {"name": name}) for name in NAMES[1:40] if "{name}" in template]
        facts += [template.format(**base | {"place": place}) for place in PLACES[1:] if "{place}" in template]
        facts += [template.format(**base | {"year": str(year)}) for year in range(13, 61)]
    everything += list(dict.fromkeys(facts))
    return everything, copies, range(first, len(everything))


def sample(texts: Sequence[str], limit: int | None, seed: int) -> list[str]:
    """At most `limit` of the texts, in their order."""
    if limit is None or limit >= len(texts):
        return list(texts)
    return [texts[place] for place in sorted(random.Random(seed).sample(range(len(texts)), limit))]


def answers(name: str, script: str, texts: Path) -> list[dict[str, Any]]:
    """What the contenders of a script say, each in one JSON line; none, with a word on stderr, without its environment."""
    python = Path(sys.executable) if name == "kun" else ENVIRONMENTS / name / "bin" / "python"
    if not python.exists():
        print(f"{name}: skipped, no {python.parent.parent}; `make bench-peers` makes it", file=sys.stderr)
        return []
    command = [str(python), str(HERE / "peers" / f"{script}_{name}.py"), str(texts)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-4000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


class Remains:
    """How much of a dropped text stands in the texts that stay."""

    def __init__(self, texts: Sequence[str], shingle: int) -> None:
        self.words = [shingle_words(bare(text), shingle) for text in texts]
        flat = np.concatenate(self.words)
        order = np.argsort(flat, kind="stable")
        self.sorted = flat[order]
        self.rows = np.repeat(np.arange(len(texts)), [len(words) for words in self.words])[order]

    def share(self, row: int, stays: np.ndarray) -> float:
        """The largest share of a row's shingles that a single staying row has."""
        words = self.words[row]
        starts, ends = np.searchsorted(self.sorted, words, "left"), np.searchsorted(self.sorted, words, "right")
        others = np.concatenate([self.rows[start:end] for start, end in zip(starts, ends, strict=True)])
        others = others[stays[others]]
        return float(np.bincount(others).max() / len(words)) if len(others) else 0.0


def row_of(answer: dict[str, Any], copies: dict[str, dict[int, int]], facts: range, remains: Remains) -> list[str]:
    """Speed, recall of each kind, and wrong removals of one contender."""
    gone = set(answer["dropped"])
    stays = np.ones(answer["documents"], dtype=bool)
    stays[list(gone)] = False
    recall = [sum(c in gone or o in gone for c, o in pairs.items()) / len(pairs) for pairs in copies.values()]
    lost = {row for row in gone.difference(facts) if remains.share(row, stays) < REST}
    planted_rows = {row for pairs in copies.values() for row in pairs}
    long = {row for row in gone.difference(facts) if len(remains.words[row]) >= MIN_COPIED}
    return [
        answer["contender"].replace(",", f" {answer['version']},", 1),
        f"{answer['documents'] / statistics.median(answer['seconds']):,.0f}",
        *(f"{share:.2f}" for share in recall),
        f"{len(gone.intersection(facts)) / len(facts):.2f}",
        str(len(lost - planted_rows)),
        f"{1 - len(lost & long) / len(long):.3f}" if long else "-",
    ]


def compared(texts: Sequence[str], names: Sequence[str], shingle: int) -> Iterator[list[str]]:
    """The table, row by row: its head first."""
    everything, copies, facts = planted(texts, seed=7)
    print(
        f"{len(texts):,} texts, {len(everything):,} with the planted ones; {len(facts)} short texts, each one fact apart\n"
    )
    yield ["", "texts/s", *copies, "one fact", "wrong", "right, long"]
    remains = Remains(everything, shingle)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.jsonl"
        file.write_text("".join(json.dumps({"text": text}) + "\n" for text in everything), encoding="utf-8")
        for name in names:
            for answer in answers(name, "near_duplicates", file):
                yield row_of(answer, copies, facts, remains)


def main() -> None:
    """Print one markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, help="take a sample of so many texts")
    parser.add_argument("--only", default=",".join(CONTENDERS), help="contenders, with commas between them")
    arguments = parser.parse_args()
    texts = sample(read(arguments.folder), arguments.limit, seed=7)
    for number, row in enumerate(compared(texts, arguments.only.split(","), load_params().dedup.shingle)):
        print(f"| {' | '.join(row)} |", flush=True)
        if number == 0:
            print(f"|---|{'--:|' * (len(row) - 1)}", flush=True)


if __name__ == "__main__":
    main()
