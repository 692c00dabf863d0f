"""The sections of params.yaml: what each knob means and which values make sense. The values themselves live in the file."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

Share = Annotated[float, 0, 1]
Count = Annotated[int, 0, None]
Positive = Annotated[int, 1, None]
Seed = Annotated[int, 0, 2**32 - 1]
Language = Literal["zh", "en"]
Executor = Literal["processes", "ray"]
Preset = Literal["wudao", "wanjuan", "skypile", "mnbvc", "mnbvc_qa"]
PrivateAction = Literal["drop", "mask", "keep"]
PRIVATE_KINDS = ("邮箱", "身份证号", "护照号", "银行卡号", "热线", "电话", "车牌号", "IP地址", "账号", "地址")
"""Private data that kun finds itself; also what the masks say."""


@dataclass(frozen=True)
class Model:
    """The base model that everything is trained from."""

    base: str
    """Name of an installed package that ships a GGUF file, a folder in transformers format, or a hub id."""
    revision: str
    """Branch, tag or commit of a hub id; pinned to a commit in models/base.json."""
    licence: str
    """Licence of a local folder, named on the dataset card."""


@dataclass(frozen=True)
class Server:
    """An OpenAI-compatible server. Of these, `models` and `extra` decide a result; moving a server computes nothing anew."""

    url: str
    """Up to and including `/v1`."""
    models: str | dict[str, str]
    """What the server calls its models: `base`, `label` and `chat` -> name, or one name for all three."""
    key: str
    """Name of the environment variable that holds the API key; "": the server asks for none."""
    concurrency: Positive
    """Requests under way at a time, of each process."""
    timeout: Annotated[float, 0.1, None]
    """Seconds that one request may take."""
    retries: Count
    """Times that a request is sent again after 429, 5xx, a timeout or a lost connection; waits double from 0.5 to 16 seconds."""
    price_in: Annotated[float, 0, None]
    """Of a million tokens of prompt, in whatever currency, as `price_out` of a million written tokens."""
    price_out: Annotated[float, 0, None]
    max_cost: Annotated[float, 0, None]
    """A stage stops when it has spent this on its model, over all its runs; 0: never."""
    extra: dict[str, Any]
    """More fields of each request, as this server knows them; null takes one out that kun would send."""

    def __post_init__(self) -> None:
        if self.url and not re.match(r"https?://[^/@]+(/[^@]*)?$", self.url):
            raise ValueError("url must be http(s)://HOST:PORT/v1 without user and password")
        if isinstance(self.models, dict) and (unknown := set(self.models) - {"base", "label", "chat"}):
            raise ValueError(f"models: unknown model `{min(unknown)}`; known models: base, label, chat")
        if self.key and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.key):
            raise ValueError("key must be the name of an environment variable, never the key itself")
        if self.max_cost and not self.price_in + self.price_out:
            raise ValueError("max_cost needs price_in and price_out")

    def model(self, role: str) -> str:
        """The name behind `base`, `label` or `chat`; "" when there is none."""
        return self.models if isinstance(self.models, str) else self.models.get(role, "")


@dataclass(frozen=True)
class Engine:
    """How model work is computed. Of these, `backend`, `dtype`, `context` and parts of `server` decide a result.

    The sizes of batches move the last bits of floating-point sums at most.
    """

    backend: Literal["hf", "openai", "fake"]
    """hf: transformers + accelerate. openai: a server. fake: deterministic text without a model."""
    dtype: Literal["auto", "float32", "bfloat16"]
    """auto: bfloat16 where it is native, else float32; finished rows of either are taken as equal."""
    batch_tokens: Annotated[int, 16, None]
    """Tokens of one batch: rows x (longest prompt + new tokens). Servers make batches of their own."""
    max_rows: Positive
    """Rows of one batch."""
    context: Annotated[int, 64, None]
    """Tokens of prompt and output together; a longer prompt never reaches label, judge or polish."""
    max_failed_share: Share
    """A stage with more failed rows than this stops with an error."""
    server: Server
    """What `backend: openai` asks."""

    def __post_init__(self) -> None:
        if self.backend == "openai" and not (self.server.url and self.server.models):
            raise ValueError("backend openai needs server.url and server.models")


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


@dataclass(frozen=True)
class TrainTask:
    """What one of the two models learns."""

    epochs: Positive
    tasks: dict[str, Count]
    """label, answer, judge or polish -> examples of an epoch; 0: one for each seed, two of judge."""

    def __post_init__(self) -> None:
        for task in self.tasks:
            if task not in ("label", "answer", "judge", "polish"):
                raise ValueError(f"unknown task `{task}`; known tasks: label, answer, judge, polish")


@dataclass(frozen=True)
class Train:
    """Supervised fine-tuning; the loss is taken on target tokens only."""

    method: Literal["lora", "full"]
    lora_rank: Positive
    """Width of an adapter."""
    lora_alpha: Positive
    """The output of an adapter is scaled by this over `lora_rank`."""
    lora_layers: Positive | Literal["all"]
    learning_rate: Annotated[float, 0, 1]
    warmup_share: Share
    """Of all steps; the rate rises to `learning_rate`, then falls as a cosine."""
    weight_decay: Share
    """Of AdamW."""
    batch_rows: Positive
    """Rows of one optimiser step, all processes together."""
    device_rows: Positive
    """Rows that a process holds at a time; the gradients of the others of its share are accumulated."""
    gradient_checkpointing: bool
    """Keep only the inputs of each block and compute the rest again in the backward pass: same result, one more forward pass."""
    max_length: Annotated[int, 16, None]
    save_steps: Positive
    seed: Seed
    """Of the examples, their order and the first weights of the adapters."""
    label: TrainTask
    """models/label: from an answer to its instruction."""
    chat: TrainTask
    """models/chat: answers, judges and polishes."""


@dataclass(frozen=True)
class Evaluate:
    """Held-out tests of the two models."""

    judge_rows: Positive
    label_rows: Positive
    """Held-out pairs whose instruction is written anew."""
    seed: Seed
    """Of the corruptions."""


@dataclass(frozen=True)
class Label:
    """Writing an instruction for each text."""

    lang: Language
    """Of the prompt."""
    temperature: Annotated[float, 0, 2]
    top_p: Annotated[float, 0, 1]
    """Tokens are drawn from the likeliest that make up this probability."""
    repetition_penalty: Annotated[float, 1, 2]
    """Divides the logits of tokens already written; 1: off."""
    max_new_tokens: Positive
    """A longer instruction is cut off, and dropped by the next stage."""
    limit: Count
    """The first texts only; 0: all."""
    seed: Seed
    """Of the draws, when temperature is above 0."""


@dataclass(frozen=True)
class Instructions:
    """Rules on one instruction."""

    dangling: Literal["anchored", "keywords"]
    min_chars: Count
    """Of an instruction, as `max_chars`."""
    max_chars: Positive
    """Longer ones are answers or ramblings."""
    max_copied_share: Share
    min_copied_chars: Count
    """A shorter common run is the name of the topic, not a copy."""
    dup_threshold: Annotated[float, 0.3, 1]
    seed: Seed
    """Of the hash functions that find near-duplicates."""


@dataclass(frozen=True)
class Judge:
    """Scoring instructions."""

    mode: Literal["verdict", "sampled", "pair_score"]
    rubric: Literal["short", "full"]
    """full: with the seven examples of the paper's kind, for models that judge untrained; short: for a trained judge."""
    lang: Language
    """Of the prompt."""
    temperature: Annotated[float, 0, 2]
    max_new_tokens: Positive
    calibrate: Share
    """p_good is 0.5 at the margin that this share of held-out seed instructions reaches; 0: raw probabilities.

    A judge trained on few examples leans to one verdict; its order of instructions is still good (AUC).
    """
    floor: Share
    threshold: Share
    limit: Count
    """The first instructions only; 0: all."""
    seed: Seed
    """Of the draws in the sampled modes."""

    def __post_init__(self) -> None:
        if self.threshold < self.floor:
            raise ValueError(f"threshold {self.threshold} is below floor {self.floor}: such rows are never polished")


@dataclass(frozen=True)
class Polish:
    """Rewriting the raw text into an answer."""

    lang: Language
    """Of the prompt."""
    temperature: Annotated[float, 0, 2]
    """0: greedy."""
    top_p: Annotated[float, 0, 1]
    """As in label."""
    repetition_penalty: Annotated[float, 1, 2]
    """As in label."""
    max_new_tokens: Positive
    """A longer answer is cut off, and dropped by `pairs`."""
    min_text_tokens: Count
    limit: Count
    """The first instructions only; 0: all."""
    seed: Seed
    """Of the draws, when temperature is above 0."""


@dataclass(frozen=True)
class Pairs:
    """Rules on the finished pair."""

    min_chars: Count
    max_repeats: Positive
    min_distinct_4gram: Share
    """Distinct character 4-grams over all, of answers over 100 characters."""
    min_support: Share
    min_cjk_share: Share
    """CJK ideographs among the letters of an answer."""
    refusals: Literal["anchored", "keywords"]


@dataclass(frozen=True)
class Release:
    """Files for trainers."""

    name: str
    """Of the dataset, on its card and in LLaMA-Factory's index."""
    shard_rows: Positive
    """Rows of one parquet file."""


@dataclass(frozen=True)
class Check:
    """Gates."""

    max_examples: Positive


@dataclass(frozen=True)
class Params:
    """The whole file."""

    launch: str
    """How model stages start; dvc.yaml puts the verb behind it."""
    executor: Executor
    """Where the corpus stages run: processes of this machine, or the Ray cluster of RAY_ADDRESS."""
    model: Model
    engine: Engine
    ingest: Ingest
    clean: Clean
    dedup: Dedup
    decontaminate: Decontaminate
    perplexity: Perplexity
    corpus: Corpus
    seeds: Seeds
    train: Train
    evaluate: Evaluate
    label: Label
    instructions: Instructions
    judge: Judge
    polish: Polish
    pairs: Pairs
    release: Release
    check: Check

    def __post_init__(self) -> None:
        longest = max(self.label.max_new_tokens, self.judge.max_new_tokens, self.polish.max_new_tokens)
        if self.engine.context <= longest:
            raise ValueError(
                f"engine.context {self.engine.context} leaves no room for a prompt beside {longest} new tokens"
            )
