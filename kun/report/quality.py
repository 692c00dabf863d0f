"""What each source of raw text is worth: how much of it reached the models, and why the rest did not."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from kun.release.funnel import Counts

CORPUS_STAGES = ("ingest", "clean", "dedup", "decontaminate", "corpus")
DUPLICATES = ("duplicate_id", "exact_duplicate", "near_duplicate")

Quality = dict[str, Any]


def quality(counts: Counts) -> dict[str, Quality]:
    """Source -> rows_in, kept (by the last of the corpus stages that has run), share, chars (of the kept), duplicates,
    private (places of private data by kind) and reasons (of all corpus stages, most frequent first)."""
    stages = [one for one in counts if one["stage"] in CORPUS_STAGES]
    sources = sorted({source for one in stages for source in one["by_source"]})
    return {source: _of([one["by_source"].get(source, {}) for one in stages]) for source in sources}


def _of(stages: list[Mapping[str, Any]]) -> Quality:
    """From one source's counts at each stage, in order."""
    reasons: Counter[str] = Counter()
    private: Counter[str] = Counter()
    for one in stages:
        reasons.update(one.get("rejected", {}))
        private.update(one.get("private", {}))
    first, last = stages[0], stages[-1]
    rows_in = first.get("kept", 0) + sum(first.get("rejected", {}).values())
    return {
        "rows_in": rows_in,
        "kept": last.get("kept", 0),
        "share": round(last.get("kept", 0) / rows_in, 4) if rows_in else 0.0,
        "chars": last.get("chars", 0),
        "duplicates": sum(reasons[name] for name in DUPLICATES),
        "private": dict(private.most_common()),
        "reasons": dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
    }
