"""Phase 1 of IFD: which pairs, and a scorer that has seen them."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM

from kun.models import load_tokens
from kun.project import Project
from kun.schemas.pairs import SEED
from kun.select.experience import _measured, brief_experience, choose
from kun.select.losses import losses
from kun.tables.shards import read_dataset
from kun.train.experience import train
from kun.work.stage import ModelStage
from tests.made import HF, PARAMS, assert_conserved, changed, reasons, seed_pairs, seeds, store
from tests.select.conftest import real_pairs

EXPERIENCE = PARAMS.experience


def points(sizes: list[int], seed: int = 0) -> pl.DataFrame:
    """Clusters of these sizes, far from each other, with perplexities of all kinds."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(np.eye(len(sizes)) * 100, sizes, axis=0)
    return pl.DataFrame(
        {
            "id": [f"{number:032x}" for number in range(sum(sizes))],
            "embedding": (centres + rng.normal(size=centres.shape)).tolist(),
            "ppl": rng.lognormal(3, 1, sum(sizes)),
        }
    )


def chosen(rows: pl.DataFrame, **values: Any) -> pl.DataFrame:
    found = brief_experience(rows, changed(EXPERIENCE, **values))
    assert sorted(found["id"]) == sorted(rows["id"])
    return found.filter(pl.col("reason").is_null()).join(rows, on="id")


def test_acceptance_10_at_most_ten_of_a_cluster_and_all_inside_its_band() -> None:
    rows, sizes = points([100, 60, 25, 10, 4]), [100, 60, 25, 10, 4]
    taken = chosen(rows, clusters=5)
    assert sorted(taken.group_by("cluster").len()["len"]) == [4, 10, 10, 10, 10]
    for start, size in zip(np.cumsum([0, *sizes]), sizes, strict=False):
        cluster = rows.slice(start, size)
        own = taken.join(cluster.select("id"), on="id", how="semi")
        assert own["cluster"].n_unique() == 1
        low, high = np.percentile(cluster["ppl"], [25, 75])
        assert size <= 10 or own["ppl"].is_between(low, high).all()
        assert size > 10 or own.height == size, "small clusters are taken whole"


def test_steps_are_even_through_the_band() -> None:
    rows = points([80]).with_columns(ppl=pl.Series(range(1, 81), dtype=pl.Float64))
    taken = chosen(rows, clusters=1)
    assert taken["ppl"].sort().to_list() == [float(value) for value in range(21, 61, 4)]
    assert set(brief_experience(rows, changed(EXPERIENCE, clusters=1))["reason"].drop_nulls()) == {
        "outside_band",
        "between_steps",
    }


def test_the_same_seed_gives_the_same_set_whatever_the_order() -> None:
    rows = points([40, 40, 40])
    first = chosen(rows, clusters=3)["id"].to_list()
    assert chosen(rows.sample(fraction=1.0, shuffle=True, seed=5), clusters=3)["id"].sort().to_list() == sorted(first)


def test_few_rows_are_fewer_clusters() -> None:
    assert chosen(points([3])).height == 3
    assert chosen(points([1])).height == 1
    assert brief_experience(points([1]).clear(), EXPERIENCE).is_empty()


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma"])
def test_acceptance_10_embedding_and_perplexity_equal_the_unpadded_ones(
    kind: str, bases: dict[str, Path], tmp_path: Path
) -> None:
    from tests.made import pinned

    project = pinned(tmp_path, bases[kind])
    tokens, model = load_tokens(project), AutoModelForCausalLM.from_pretrained(bases[kind], dtype=torch.float32).eval()
    prompts = [tokens.chat(instruction) for instruction, _ in seed_pairs(7)]
    found, _ = _measured(ModelStage(project, "experience/choose", HF, None), prompts)
    assert found is not None
    for prompt, row in zip(prompts, found.iter_rows(named=True), strict=True):
        (ids,) = tokens.encode([prompt])
        with torch.inference_mode():
            states = model.base_model(input_ids=torch.tensor([[1, *ids]])).last_hidden_state[0, 1:]
            loss = model(input_ids=torch.tensor([ids]), labels=torch.tensor([ids])).loss
        assert row["embedding"] == pytest.approx(states.mean(0).tolist(), rel=1e-4, abs=1e-5)
        assert row["ppl"] == pytest.approx(float(loss.exp()), rel=1e-3)


def test_from_pairs_to_a_scorer_that_has_seen_some_of_them(project: Project) -> None:
    pairs = real_pairs(30)
    store(project, "mixed", pairs)
    store(project, "seeds", seeds(seed_pairs(8), 8).cast(dict(SEED)))  # type: ignore[arg-type]
    params = changed(EXPERIENCE, clusters=2, per_cluster=4)
    counts = choose(project, params, PARAMS.losses, changed(HF, max_rows=8))
    assert counts is not None
    assert_conserved(project, "experience/choose", "experience/chosen", pairs["id"].to_list(), counts)
    assert set(reasons(project, "experience/choose").values()) <= {"outside_band", "between_steps"}
    kept = read_dataset(project.dataset("experience/chosen"))
    assert 0 < kept.height <= 8 and kept["ppl"].min() > 1  # type: ignore[operator]
    learning = changed(PARAMS.train, lora_rank=2, lora_layers="all", batch_rows=4, device_rows=4)
    summary = train(project, changed(PARAMS, train=learning, engine=HF))
    assert summary is not None
    assert summary["examples"] == {"train": kept.height, "heldout": 8} and summary["best_epoch"] == 1
    assert (project.root / "reports/experience/train/experience.json").is_file()
    assert not (project.root / "reports/train").exists(), "the main line reads those"
    losses(project, PARAMS.losses, HF)
    before = read_dataset(project.dataset("losses"))
    losses(project, changed(PARAMS.losses, model="experience"), HF)
    after = read_dataset(project.dataset("losses"))
    assert "+experience@" in after["scorer"][0]
    assert after["s_cond"].mean() < before["s_cond"].mean(), "it has learned to answer"  # type: ignore[operator]


def test_a_prompt_beyond_the_limit_is_set_aside(project: Project) -> None:
    pairs = real_pairs(6)
    longest = pairs["instruction"].str.len_chars().arg_max()
    store(
        project,
        "mixed",
        pairs.with_columns(
            pl.when(pl.int_range(pl.len()) == longest)
            .then(pl.lit("问" * 400))
            .otherwise("instruction")
            .alias("instruction")
        ),
    )
    choose(project, EXPERIENCE, changed(PARAMS.losses, max_length=200), HF)
    assert reasons(project, "experience/choose") == {pairs["id"][longest]: "prompt_too_long"}
