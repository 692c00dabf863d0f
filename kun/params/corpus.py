"""Raw text and seeds."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from kun.params.values import PRIVATE_KINDS, Count, Language, Positive, Preset, PrivateAction, Seed, Share


@dataclass(frozen=True)
class Ingest:
    """Reading raw files."""

    path: str
    """Folder of raw files, searched recursively; docs/how-to.md lists the formats."""
    text_fields: list[str]
    """Field names of the text, or paths (a.b); the first that a record has counts."""
    title_fields: list[str]
    """Field names of the title."""
    layouts: dict[str, Preset | list[str]]
    """Source, or its first folder -> where its text is, if not in `text_fields`: a published layout, or fields to join."""
    txt: Literal["passages", "file"]
    """passages: blank lines part the texts of a .txt file; file: it is one text."""
    limit_per_file: Count
    """Records taken from each file, a seeded sample; 0: all."""
    split: Count
    """Characters: longer texts are cut at paragraph ends into pieces of at most this size; 0: off."""
    seed: Seed
    """Of the sample."""
    licences: dict[str, str]
    """Source, or its first folder -> licence of its texts."""

    def __post_init__(self) -> None:
        if not self.path or not self.text_fields or not all(self.layouts.values()):
            raise ValueError("path, text_fields and each of layouts must name something")


@dataclass(frozen=True)
class English:
    """Rules for English texts, after Gopher (Rae et al. 2021) and C4 (Raffel et al. 2020); shares are of words or lines."""

    min_words: Count
    """Gopher asks 50 of a page; an answer to an instruction may be shorter."""
    max_words: Positive
    min_word_length: Annotated[float, 0, None]
    """Mean characters of a word, as `max_word_length`."""
    max_word_length: Annotated[float, 0, None]
    max_symbol_ratio: Share
    """Hash marks and ellipses for each word."""
    min_alphabetic_share: Share
    """Words with a letter."""
    min_stop_words: Count
    """Of the, be, to, of, and, that, have, with; each occurrence counts."""
    max_bullet_share: Share
    """Lines that begin with a bullet."""
    max_ellipsis_share: Share
    """Lines that end with an ellipsis."""
    min_closed_share: Share
    """Lines that end like a sentence, or are list items; C4 drops each line that does not."""


@dataclass(frozen=True)
class Clean:
    """Rules on one text; shares are of characters unless said otherwise (docs/rules.md has the source of each)."""

    languages: list[Language]
    """Texts in others are dropped; each language has rules of its own."""
    min_cjk_share: Share
    """Of ideographs among letters; a Latin word counts as one letter."""
    min_chars: Count
    """Of the repaired text."""
    max_tokens: Positive
    max_mojibake_share: Share
    max_open_line_share: Share
    max_symbol_share: Share
    max_digit_share: Share
    max_dup_line_share: Share
    """Characters in lines that repeat an earlier one."""
    max_top_gram_share: Share
    max_link_share: Share
    """Characters of addresses; 0: no address at all."""
    max_code_share: Share
    """Characters of code between backticks, or in lines without ideographs that look like code."""
    max_table_share: Share
    """Lines that are rows of a table."""
    max_entry_share: Share
    """Lines that are list items of a few words."""
    max_keyword_share: Share
    """Characters in rows of search words."""
    truncated: Literal["keep", "marks", "open"]
    """Texts that are dropped for their end. marks: it says that the text goes on elsewhere (阅读全文); open: also any other
    end without punctuation."""
    boilerplate_docs: Count
    """A line of prose (8 ideographs or more) that stands in this many texts of a source, or of the folder that holds it, goes
    from them; 0: off."""
    unsafe_words: str
    """Folder of word lists, or one of them: words, one a line, that no text may have. Those of ASCII letters count as whole
    words only."""
    private: PrivateAction | dict[str, PrivateAction]
    """What happens to texts with telephone, e-mail, identity or account numbers: one action, or kind -> action and default."""
    ner: str
    """A function of the user's own that finds more private data, as package.module:function; "": none."""
    simplify: bool
    """Convert traditional to simplified script."""
    english: English

    def __post_init__(self) -> None:
        if not self.languages:
            raise ValueError("languages: name at least one of zh, en")
        if self.ner and not re.fullmatch(r"[^\W\d][\w.]*:[^\W\d]\w*", self.ner):
            raise ValueError(f"ner: {self.ner!r} is not of the form package.module:function")
        for kind in self.private if isinstance(self.private, dict) and not self.ner else ():
            if kind not in (*PRIVATE_KINDS, "default"):
                raise ValueError(f"private: unknown kind `{kind}`; known kinds: default, {', '.join(PRIVATE_KINDS)}")


@dataclass(frozen=True)
class Dedup:
    """Near-duplicates by MinHash-LSH over character shingles."""

    shingle: Annotated[int, 1, 64]
    """Characters of one shingle."""
    bins: Annotated[int, 16, 1024]
    """Length of a signature."""
    threshold: Annotated[float, 0.3, 1]
    """True Jaccard from which two texts are duplicates."""
    short_chars: Count
    """Texts with fewer letters that differ at one or two places only are two facts, not one text twice."""
    prefer: list[str]
    """Sources (or their first folders) whose texts stay when others repeat them, best first; the rest by row."""
    seed: Seed
    """Of the hash functions."""


@dataclass(frozen=True)
class Decontaminate:
    """Overlap with evaluation sets."""

    path: str
    """Folder of evaluation sets (jsonl, json, csv, tsv, parquet), or one of them."""
    fields: list[str]
    """Fields of an evaluation record that must not appear in the data, in upper or lower case."""
    ngram: Annotated[int, 5, 50]
    """Characters that must agree in a row."""
    both_scripts: bool
    """Look for each item in simplified and in traditional script; needs opencc."""


@dataclass(frozen=True)
class Perplexity:
    """Loss of each text under the base model, or under a character model."""

    backend: Literal["model", "kenlm"]
    """model: the base model. kenlm: an n-gram model over characters (package kenlm)."""
    kenlm: str
    """File of KenLM (.arpa, .bin), or a folder that holds one; there must be such a folder, as DVC watches it."""
    max_tokens: Count
    """Leading tokens that are scored, characters with kenlm; 0: all."""


@dataclass(frozen=True)
class Corpus:
    """Which texts go to the models."""

    low_percentile: Share
    high_percentile: Share
    min_rows: Count
    """Sources with fewer rows than this keep all: a percentile of few rows says nothing."""
    semantic_threshold: Share
    """Cosine of embeddings by the base model, what all texts have in common taken out, from which a text says the same as an
    earlier one in the band and goes; 0: off."""
    limit: Count
    """Texts that go on, a fair sample; 0: all."""
    weights: dict[str, Annotated[float, 0.001, 1000]]
    """Source, or its first folder -> its weight in the sample; 1 where nothing is said."""

    def __post_init__(self) -> None:
        if self.low_percentile >= self.high_percentile:
            raise ValueError("low_percentile must be below high_percentile")


@dataclass(frozen=True)
class Seeds:
    """Reading instruction pairs written by people."""

    path: str
    """A file of pairs (jsonl, json, csv, tsv, parquet) or a folder of them."""
    fields: dict[str, list[str]]
    """Our column -> names it may have in the files."""
    heldout: Annotated[float, 0, 0.9]
    """Share of pairs that are never trained on; chosen by hash, so a new seed moves no other."""
    limit: Count
    min_instruction: Count
    """Characters."""
    max_tokens: Positive
    seed: Seed
    """Of the split and of the sample."""

    def __post_init__(self) -> None:
        for column in self.fields:
            if column not in ("instruction", "input", "output"):
                raise ValueError(f"fields: unknown column `{column}`; known columns: instruction, input, output")
