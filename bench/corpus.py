"""Near-duplicates: documents a second, recall of planted copies, wrong removals, beside other libraries in one run.

`python bench/corpus.py FOLDER` plants copies in the .jsonl files of FOLDER (field `text`): width changes, added boilerplate,
swapped paragraphs, 2, 5 and 10% of the characters edited; and short forms whose fillings differ in one fact. `wrong` are texts
that were dropped though they share less than 0.4 of their shingles with the kept one. datasketch and rensa take part when they
are installed.
"""

import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from kun.config import load_params
from kun.corpus.letters import bare, comparable
from kun.corpus.minhash import signatures_of
from kun.corpus.neardup import Alike, letters_among, near_duplicates
from kun.corpus.text import normalise, shingles

REPEATS = 3
MIN_LETTERS = 20
MIN_COPIED = 200  # letters; a shorter copy with one edit cannot be told from another fact
COPIES = 300  # of each kind
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

Found = list[tuple[int, int]]


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
        chosen = source.sample([place for place, text in enumerate(texts) if len(bare(text)) >= MIN_COPIED], COPIES)
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


def ours(texts: Sequence[str]) -> Found:
    """kun, with the defaults of params.yaml."""
    values = load_params().dedup
    letters = comparable(texts)
    signatures = signatures_of(letters, values.shingle, values.bins, values.seed)
    twins = near_duplicates(
        signatures, letters_among(letters), Alike(values.shingle, values.threshold, values.short_chars)
    )
    return [(twin.row, twin.kept) for twin in twins]


def datasketch(texts: Sequence[str]) -> Found:
    """MinHashLSH on character 5-grams, 128 permutations, 0.8."""
    from datasketch import MinHash, MinHashLSH

    index, found = MinHashLSH(threshold=0.8, num_perm=128), []
    for place, text in enumerate(texts):
        signature = MinHash(num_perm=128)
        signature.update_batch([gram.encode() for gram in shingles(text, 5)])
        twins = index.query(signature)
        if twins:
            found.append((place, min(twins)))
        else:
            index.insert(place, signature)
    return found


def rensa(texts: Sequence[str]) -> Found:
    """RMinHash with its LSH on character 5-grams, 128 permutations, 0.8."""
    from rensa import RMinHash, RMinHashLSH

    index, found = RMinHashLSH(threshold=0.8, num_perm=128, num_bands=16), []
    signatures = []
    for place, text in enumerate(texts):
        signature = RMinHash(num_perm=128, seed=7)
        signature.update(list(shingles(text, 5)))
        signatures.append(signature)
        twins = [twin for twin in index.query(signature) if signatures[twin].jaccard(signature) >= 0.8]
        if twins:
            found.append((place, min(twins)))
        else:
            index.insert(place, signature)
    return found


def main(folder: Path) -> None:
    """Print one row a library."""
    texts = read(folder)
    everything, copies, facts = planted(texts, seed=7)
    letters = [set(shingles(bare(text), 5)) for text in everything]
    print(
        f"{len(texts)} documents, {len(everything)} with the planted ones; {len(facts)} short texts, each one fact apart\n"
    )
    print(f"{'':<12}{'docs/s':>8}" + "".join(f"{kind:>13}" for kind in copies) + f"{'one fact':>10}{'wrong':>7}")
    for name, find in (("kun", ours), ("datasketch", datasketch), ("rensa", rensa)):
        if name != "kun" and find_spec(name) is None:
            continue
        times, found = [], []
        for _ in range(REPEATS):
            start = time.perf_counter()
            found = find(everything)
            times.append(time.perf_counter() - start)
        dropped = dict(found)
        gone = {*dropped}
        recall = {k: sum(c in gone or o in gone for c, o in pairs.items()) / len(pairs) for k, pairs in copies.items()}
        planted_places = {place for pairs in copies.values() for place in pairs}
        wrong = [
            (drop, keep)
            for drop, keep in found
            if drop not in planted_places
            and drop not in facts
            and len(letters[drop] & letters[keep]) < 0.4 * min(len(letters[drop]), len(letters[keep]))
        ]
        lost = sum(place in gone for place in facts) / len(facts)
        speed = len(everything) / statistics.median(times)
        print(
            f"{name:<12}{speed:>8.0f}"
            + "".join(f"{recall[k]:>13.2f}" for k in copies)
            + f"{lost:>10.2f}{len(wrong):>7}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
