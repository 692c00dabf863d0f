"""Records under a JSON schema: what compiling and masking cost, and how many are valid, on the pinned base model.

The masks follow 32 records made of the seeds, token by token; a step is one token of each. Then the model writes a record for
each of 32 requests, free and under the schema, sampled with temperature 0.7.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from kun.engine.base import Completion, Sampling
from kun.engine.grammar import Grammars
from kun.engine.hf import HFModel
from kun.engine.records import parse_record
from kun.models import load_tokens, locate, read_base
from kun.project import Project

ROWS, NEW_TOKENS = 32, 160
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "题目": {"type": "string", "minLength": 4, "maxLength": 40},
            "难度": {"enum": ["易", "中", "难"]},
            "要点": {
                "type": "array",
                "minItems": 1,
                "maxItems": 3,
                "items": {"type": "string", "minLength": 2, "maxLength": 20},
            },
        },
        "required": ["题目", "难度", "要点"],
        "additionalProperties": False,
    },
    ensure_ascii=False,
)
REQUEST = "根据下面的文字出一道题，只写一个 JSON 对象，字段为 题目、难度（易、中或难）、要点（一到三条）。\n\n{text}"


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds, and the result."""
    start = time.perf_counter()
    result = run()
    return 1000 * (time.perf_counter() - start), result


def records(seeds: Sequence[dict[str, str]]) -> list[str]:
    """A valid record of each seed."""
    values = [
        {
            "题目": seed["instruction"][:40].ljust(4, "。"),
            "难度": "中",
            "要点": [seed["output"][:20], seed["output"][20:40] or "完毕"],
        }
        for seed in seeds
    ]
    return [json.dumps(value, ensure_ascii=False, separators=(",", ":")) for value in values]


def mask_times(grammars: Grammars, size: int, written: list[list[int]]) -> list[float]:
    """Milliseconds of each step of all rows, as long as the shortest lasts."""
    rows, times = grammars.rows([SCHEMA] * len(written)), []
    assert rows is not None
    logits, active = torch.zeros(size, len(written)).T, list(range(len(written)))
    for step in range(min(map(len, written))):
        prefix = [ids[:step] for ids in written]
        times.append(timed(lambda prefix=prefix: rows.mask(logits, active, prefix))[0])
    return times


def valid_share(done: Sequence[Completion]) -> float:
    """Share of completions that are records."""
    return statistics.mean(isinstance(parse_record(each.text, SCHEMA, each.finish), dict) for each in done)


def main() -> None:
    """Print the costs and the shares."""
    project = Project()
    base = read_base(project)
    model = HFModel(locate(project, base), load_tokens(project), base.end_token)
    with (project.root / "data/seed/seeds.jsonl").open(encoding="utf-8") as file:
        seeds = [json.loads(line) for line, _ in zip(file, range(ROWS), strict=False)]
    size = len(model._head)
    print(f"{torch.get_num_threads()} threads, {model.device}, {model.model.dtype}; {ROWS} rows, {size:,} entries\n")
    grammars = Grammars(model.tokens, size, model._ends.tolist())
    print(f"the tokenizer's table, once for a model   {timed(lambda: grammars._table)[0]:9.1f} ms")
    print(f"compiling a schema                        {timed(lambda: grammars.rows([SCHEMA]))[0]:9.1f} ms")
    times = mask_times(grammars, size, model.tokens.encode(records(seeds)))
    print(f"masks of a step: median                   {statistics.median(times):9.1f} ms")
    print(f"                 mean                     {statistics.mean(times):9.1f} ms")
    prompts = [model.chat(REQUEST.format(text=seed["output"][:120])) for seed in seeds]
    for name, schema in (("free", ""), ("under the schema", SCHEMA)):
        schemas = [schema] * len(prompts)
        elapsed, done = timed(
            lambda schemas=schemas: model.generate(prompts, Sampling(NEW_TOKENS, 0.7, 0.9, seed=1), schemas)
        )
        tokens = sum(each.n_new for each in done)
        print(
            f"{name:<18} valid {valid_share(done):4.0%}, cut {sum(each.finish == 'length' for each in done):2d}, "
            f"{elapsed / 1000:6.1f} s, {1000 * tokens / elapsed:6.1f} tokens/s"
        )
        print(f"    {done[0].text[:90]!r}")


if __name__ == "__main__":
    main()
