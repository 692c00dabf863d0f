"""What the scorer with brief experience learns; the whole way from pairs to scores is in tests/select/test_experience.py."""

from typing import Any

import pytest

from kun.models import load_tokens
from kun.params import Params
from kun.project import Project
from kun.select.templates import template_of
from kun.train import experience
from kun.train.experience import train
from tests.made import PARAMS, changed, seed_pairs, seeds, store
from tests.select.conftest import real_pairs


@pytest.fixture
def learned(project: Project, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Settings -> the texts that would be learned, and those that would be held out."""
    pairs = real_pairs(6)
    store(project, "mixed", pairs)
    store(project, "experience/chosen", pairs.select("id").head(4).with_columns(cluster=0, ppl=2.0))
    store(project, "seeds", seeds(seed_pairs(5), heldout=2))
    tokens = load_tokens(project)._tokenizer

    def texts(params: Params) -> dict[str, list[str]]:
        made: list[Any] = []
        monkeypatch.setattr(experience, "learn", lambda project, name, params, units, *rest: made.append(units))
        train(project, params)
        return {
            split: [tokens.decode(example.input_ids, skip_special_tokens=False) for (example,) in units]
            for split, units in made[0].items()
        }

    return texts


@pytest.mark.parametrize("template", ["chat", "alpaca", "wizardlm", "vicuna", "bare"])
@pytest.mark.parametrize("context", ["header", "none"])
def test_what_is_learned_stands_in_the_template_that_it_scores_in(
    project: Project, learned: Any, template: str, context: str
) -> None:
    losses = changed(PARAMS.losses, template=template, direct_context=context)
    prompt = template_of(losses, load_tokens(project)).prompt
    pairs = real_pairs(6).head(4).select("instruction", "input", "output").rows()
    found = learned(changed(PARAMS, losses=losses))
    tokens = load_tokens(project)._tokenizer

    def seen(text: str) -> str:
        return str(tokens.decode(tokens.encode(text, add_special_tokens=False).ids, skip_special_tokens=False))

    assert sorted(found["train"]) == sorted(
        seen(f"{prompt(asked, given)}{answer}<|im_end|>") for asked, given, answer in pairs
    )
    held = seeds(seed_pairs(5), heldout=2).filter(split="heldout").select("instruction", "output").rows()
    assert sorted(found["heldout"]) == sorted(seen(f"{prompt(asked, '')}{answer}<|im_end|>") for asked, answer in held)
