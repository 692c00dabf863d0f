"""Cleaning rules: documents and megabytes a second, beside the same rules as a plain loop over texts, and other libraries.

`python bench/rules.py FOLDER` reads the .jsonl files of FOLDER (field `text`), and starts a process for each contender, so
that each has its own peak of memory. One line of JSON each: medians of REPEATS runs, reading not counted. kun and the loop
repair, mask and judge with the defaults of params.yaml; counting tokens is left out of both. `disagree` are texts that one
keeps and the other drops. Data-Juicer and datatrove take part where `make bench-peers` has been run, each with its own
recipe for Chinese: their `kept` tells nothing about who is right.
"""

import json
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
from corpus import answers

from kun.config import load_params
from kun.corpus import features as looks
from kun.corpus import lines, spam
from kun.corpus.features import features
from kun.corpus.letters import bare
from kun.corpus.mojibake import mend_mojibake
from kun.corpus.privacy import find_private, mask_private
from kun.corpus.repair import repair
from kun.corpus.rules import rules
from kun.corpus.text import normalise
from kun.corpus.tidy import join_wrapped, strip_markup
from kun.tables.rules import split_by_rules

REPEATS = 3
PEERS = ("datajuicer", "datatrove")
PARAMS = load_params().clean
HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"


def read(folder: Path) -> list[str]:
    """Normalised texts, as ingest leaves them."""
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.open(encoding="utf-8"):
            if text := normalise(str(json.loads(line).get("text", ""))):
                found.append(text)
    return found


def ours(texts: list[str]) -> list[bool]:
    """kun, all texts at once."""
    frame = pl.DataFrame({"row": range(len(texts)), "lang": ""})
    looked_at = features(frame.hstack(mask_private(repair(pl.Series(texts)).texts, "drop")))
    kept = set(split_by_rules(looked_at, rules(PARAMS)).kept["row"])
    return [row in kept for row in range(len(texts))]


def python_pattern(pattern: str) -> re.Pattern[str]:
    """A pattern of polars as one of `re`, which has no classes by Unicode property; here all stand inside brackets."""
    classes = {r"\p{Han}": HAN, r"\p{Co}": "\ue000-\uf8ff", r"\p{Emoji_Presentation}": "\U0001f300-\U0001faff"}
    for name, characters in classes.items():
        pattern = pattern.replace(name, characters)
    pattern = re.sub(r"\\x\{(\w+)\}", lambda found: chr(int(found[1], 16)), pattern)
    flags = "".join(dict.fromkeys("".join(re.findall(r"\(\?([ims]+)\)", pattern))))
    return re.compile((f"(?{flags})" if flags else "") + re.sub(r"\(\?[ims]+\)", "", pattern))


PATTERNS = {
    name: python_pattern(pattern)
    for name, pattern in {
        "not_prose": looks._NOT_PROSE,
        "code": looks._CODE,
        "link": looks._LINK,
        "mojibake": looks._MOJIBAKE,
        "sure": spam.ADVERT_SURE,
        "words": spam.ADVERT_WORDS,
        "spam": spam.SPAM_WORDS,
        "report": spam.REPORT,
        "keywords": spam.KEYWORDS,
        "separator": spam._NAVIGATION_SEPARATOR,
        "navigation": spam._NAVIGATION,
        "copyright": spam.COPYRIGHT,
        "truncated": spam.TRUNCATED,
        "item": rf"^(?:{lines.LIST_ITEM})",
        "closing": lines._CLOSING,
        "emoji": lines._EMOJI_END,
        "stop": lines._STOP,
        "pause": lines._PAUSE,
        "table": lines._TABLE_ROW,
        "code_line": lines._CODE_LINE,
    }.items()
}
HAN_LETTER, KANA, HANGUL = re.compile(f"[{HAN}々〆]"), re.compile("[\u3041-\u309f]"), re.compile("[\uac00-\ud7a3]")
LETTER, WORD, LATIN = re.compile(r"[^\W\d_]"), re.compile("[A-Za-z]+"), re.compile("[A-Za-z\u00c0-\u024f]")
DIGIT, VISIBLE = re.compile(r"\d"), re.compile(r"\S")
SYMBOL = re.compile(r"[^\w\s，。、；：！？…—“”‘’（）《》.,;!?'\"()]|_")
LATIN_UNIT = re.compile("[A-Za-z0-9]+")


def plain(texts: list[str]) -> list[bool]:
    """The same rules with `re` and str methods, text by text."""
    return [keeps(text) for text in texts]


def keeps(text: str) -> bool:
    """Whether the text passes; cheap rules first, as one would write it."""
    text = join_wrapped(normalise(strip_markup(mend_mojibake(text))))
    size = len(text)
    if size < PARAMS.min_chars or find_private(text):
        return False
    words = PATTERNS["spam"].findall(text)
    if (
        len(set(words)) >= spam.SPAM_KINDS
        and sum(map(len, words)) / size >= spam.SPAM_SHARE
        and not PATTERNS["report"].search(text)
    ):
        return False
    if (
        len(PATTERNS["mojibake"].findall(text)) / size > PARAMS.max_mojibake_share
        or sum(len(hit[0]) for hit in PATTERNS["link"].finditer(text)) / size > PARAMS.max_link_share
        or sum(len(hit[0]) for hit in PATTERNS["keywords"].finditer(text)) / size > PARAMS.max_keyword_share
        or PATTERNS["sure"].search(text)
        or len(set(PATTERNS["words"].findall(text))) >= 2
        or len(PATTERNS["navigation"].findall(PATTERNS["separator"].sub("\n", text))) >= 3
        or PATTERNS["copyright"].search(text[-spam.COPYRIGHT_TAIL :])
        or PATTERNS["truncated"].search(text[-60:])
    ):
        return False
    prose = PATTERNS["not_prose"].sub("", text)
    return is_chinese(prose) and has_sound_lines(text, prose) and repeated(text) <= PARAMS.max_top_gram_share


def is_chinese(prose: str) -> bool:
    """The script, and shares of symbols and digits."""
    han, kana, letters = (len(pattern.findall(prose)) for pattern in (HAN_LETTER, KANA, LETTER))
    words = len(WORD.findall(prose))
    latin = len(LATIN.findall(prose)) - sum(map(len, WORD.findall(prose)))
    visible = max(len(VISIBLE.findall(prose)), 1)
    others = letters - han - sum(map(len, WORD.findall(prose)))
    return (
        kana < 0.2 * max(han + kana, 1)
        and len(HANGUL.findall(prose)) < 0.3 * max(letters, 1)
        and han >= PARAMS.min_cjk_share * max(han + words + max(others, latin), 1)
        and len(SYMBOL.findall(prose)) / visible <= PARAMS.max_symbol_share
        and len(DIGIT.findall(prose)) / visible <= PARAMS.max_digit_share
    )


def has_sound_lines(text: str, prose: str) -> bool:
    """Shares of lines of each kind."""
    filled = [line for raw in prose.split("\n") if (line := raw.strip())]
    closed = entries = tables = code = again = total = 0
    seen: set[str] = set()
    for place, line in enumerate(filled):
        size, item = len(line), bool(PATTERNS["item"].search(line))
        ended = bool(
            PATTERNS["closing"].search(line)
            or PATTERNS["emoji"].search(line)
            or PATTERNS["stop"].search(line[-lines.TAIL - 1 :])
            or (len(filled) == 1 and size <= lines.REMARK and PATTERNS["pause"].search(line))
        )
        closed += ended or item or (place == 0 and size <= lines.TITLE)
        entries += item and not ended and size <= lines.ENTRY and line[0] != "#"
        tables += bool(PATTERNS["table"].search(line))
        if size <= lines.CODE_LINE and not HAN_LETTER.search(line) and PATTERNS["code_line"].search(line):
            code += size
        again += size if line in seen and size >= lines.LABEL else 0
        total += size
        seen.add(line)
    fences = "\n".join(PATTERNS["code"].findall(text)).split("\n")
    code += sum(len(line) + 1 for line in fences if not HAN_LETTER.search(line))
    n_lines = max(len(filled), 1)
    return (
        1 - closed / n_lines <= PARAMS.max_open_line_share
        and entries / n_lines <= PARAMS.max_entry_share
        and (tables < lines.TABLE_ROWS or tables / n_lines <= PARAMS.max_table_share)
        and code / max(len(text), 1) <= PARAMS.max_code_share
        and again / max(total, 1) <= PARAMS.max_dup_line_share
    )


def repeated(text: str) -> float:
    """Share of the most frequent run of ten units."""
    prose = PATTERNS["not_prose"].sub("", text[: looks.HEAD])
    letters = bare(LATIN_UNIT.sub(lambda word: chr(0x20000 + hash(word[0]) % 0xA6E0), prose))

    def top(size: int) -> tuple[str, int]:
        grams = Counter(letters[start : start + size] for start in range(len(letters) - size + 1))
        return max(grams.items(), key=lambda item: item[1], default=("", 0))

    if top(20)[1] < 2:
        return 0.0
    times = letters.count(top(10)[0])
    return times * 10 / len(letters) if times >= 3 else 0.0


CONTENDERS: dict[str, Callable[[list[str]], list[bool]]] = {"kun": ours, "python": plain}


def measure(name: str, folder: Path) -> None:
    """Print the line of one contender."""
    texts = read(folder)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    times, kept = [], []
    for _ in range(REPEATS):
        start = time.perf_counter()
        kept = CONTENDERS[name](texts)
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times)
    line = {
        "name": name,
        "docs": len(texts),
        "kept": sum(kept),
        "seconds": round(seconds, 3),
        "docs_s": round(len(texts) / seconds),
        "mb_s": round(megabytes / seconds, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "peak_mb_before": round(before),
    }
    if name != "kun":
        line["disagree"] = sum(one != other for one, other in zip(kept, ours(texts), strict=True))
    print(json.dumps(line, ensure_ascii=False), flush=True)


def main(folder: str, *names: str) -> None:
    """All contenders, each in a process of its own; with a name, that one in this process."""
    if names:
        measure(names[0], Path(folder))
        return
    for name in CONTENDERS:
        subprocess.run([sys.executable, __file__, folder, name], check=True)
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "texts.jsonl"
        texts = read(Path(folder))
        file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        for peer in PEERS:
            for line in answers(peer, "rules", file):
                speed = round(line["documents"] / statistics.median(line["seconds"]))
                told = {
                    "name": f"{line['contender']} {line['version']}",
                    "docs": line["documents"],
                    "kept": line["kept"],
                }
                print(json.dumps(told | {"docs_s": speed}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
