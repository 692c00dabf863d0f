"""What all votes say: of reviewers, of the judge, of the rules that dropped records. Plain data."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from kun.project import Project
from kun.votes.majority import Decision, decisions
from kun.votes.shown import Shown, load_shown
from kun.votes.statistics import auc, auc_interval, kappa, wilson
from kun.votes.store import read_votes, votes_folder
from kun.votes.vote import Vote

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

Row = dict[str, Any]


def votes_summary(project: Project, thresholds: Sequence[float] = THRESHOLDS) -> Row:
    """reviewers, agreement, judge and rules, from the standing votes; stale ones are counted and left out.

    reviewers: reviewer, votes, keep, drop, edit, stale. agreement: of each two with a record in common left, right, records,
    same (share) and kappa, edit counting as keep. judge: `judge_summary`. rules: `rules_summary`.
    """
    votes = read_votes(votes_folder(project))
    records = load_shown(project, list(dict.fromkeys(vote.id for vote in votes)))
    fresh = [vote for vote in votes if vote.id in records and records[vote.id].seen == vote.seen]
    decided = decisions(fresh)
    return {
        "votes": len(votes),
        "stale": len(votes) - len(fresh),
        "records": len(decided),
        "voted_out": sum(one.out for one in decided.values()),
        "edited": sum(one.edit is not None and not one.out for one in decided.values()),
        "reviewers": _reviewers(votes, fresh),
        "agreement": _agreement(fresh),
        "judge": judge_summary(fresh, records, thresholds),
        "rules": rules_summary(decided, records),
    }


def judge_summary(votes: Sequence[Vote], records: Mapping[str, Shown], thresholds: Sequence[float]) -> Row:
    """How far the judge's p_good tells what people keep from what they drop, on the records with both.

    The judge reads the instruction alone: an edit of the instruction says that it was not good, one of the answer says that
    it was. Majority; records in a tie are left out. precision, recall (each value, low, high) and passed by threshold, auc
    (value, low, high; null unless there are good and bad ones).
    """
    scored = {key: one.p_good for key, one in records.items() if one.p_good is not None}
    sides: dict[str, int] = {}
    for vote in votes:
        well = vote.verdict == "keep" or (vote.verdict == "edit" and "instruction" not in vote.edit)
        sides[vote.id] = sides.get(vote.id, 0) + (1 if well else -1)
    good = [scored[key] for key, side in sides.items() if side > 0 and key in scored]
    bad = [scored[key] for key, side in sides.items() if side < 0 and key in scored]
    both = bool(good and bad)
    return {
        "good": len(good),
        "bad": len(bad),
        "auc": auc_interval(auc(good, bad), len(good), len(bad))._asdict() if both else None,
        "at_threshold": [_at(good, bad, threshold) for threshold in thresholds] if good or bad else [],
    }


def rules_summary(decided: Mapping[str, Decision], records: Mapping[str, Shown]) -> list[Row]:
    """Of the records that left, by stage and reason: how many people looked at, and how many they would have kept.

    wrong: value, low and high of the share that the majority keeps; most records first. A tie says nothing and is left out.
    """
    read: Counter[tuple[str, str]] = Counter()
    kept: Counter[tuple[str, str]] = Counter()
    for key, one in decided.items():
        left = records[key].verdict
        if left and (one.kept or one.out):
            rule = (left["stage"], left["reason"])
            read[rule] += 1
            kept[rule] += one.kept
    return [
        {"stage": stage, "reason": reason, "records": count, "kept": kept[stage, reason]}
        | {"wrong": wilson(kept[stage, reason], count)._asdict()}
        for (stage, reason), count in sorted(read.items(), key=lambda item: (-item[1], item[0]))
    ]


def _at(good: Sequence[float], bad: Sequence[float], threshold: float) -> Row:
    hits, misses = sum(score >= threshold for score in good), sum(score >= threshold for score in bad)
    return {
        "threshold": threshold,
        "passed": hits + misses,
        "precision": wilson(hits, hits + misses)._asdict(),
        "recall": wilson(hits, len(good))._asdict(),
    }


def _reviewers(votes: Sequence[Vote], fresh: Sequence[Vote]) -> list[Row]:
    stale = Counter(vote.reviewer for vote in votes) - Counter(vote.reviewer for vote in fresh)
    by_name: dict[str, Counter[str]] = {}
    for vote in votes:
        by_name.setdefault(vote.reviewer, Counter())[vote.verdict] += 1
    return [
        {"reviewer": name, "votes": counts.total()}
        | {verdict: counts[verdict] for verdict in ("keep", "drop", "edit")}
        | {"stale": stale[name]}
        for name, counts in sorted(by_name.items())
    ]


def _agreement(votes: Sequence[Vote]) -> list[Row]:
    sides: dict[str, dict[str, str]] = {}
    for vote in votes:
        sides.setdefault(vote.reviewer, {})[vote.id] = "drop" if vote.verdict == "drop" else "keep"
    found = []
    for (left, mine), (right, theirs) in combinations(sorted(sides.items()), 2):
        if both := sorted(mine.keys() & theirs.keys()):
            ours, others = [mine[key] for key in both], [theirs[key] for key in both]
            same = round(sum(a == b for a, b in zip(ours, others, strict=True)) / len(both), 4)
            found.append(
                {"left": left, "right": right, "records": len(both), "same": same, "kappa": kappa(ours, others)}
            )
    return found
