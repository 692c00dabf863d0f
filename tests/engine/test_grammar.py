import json
from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kun.engine.base import Completion, Sampling
from kun.engine.grammar import Grammars
from kun.engine.hf import HFModel
from kun.engine.records import parse_record
from kun.errors import ModelError
from tests.engine.schemas import SCHEMAS, closed, text_of

PROMPTS = ["为什么天是蓝的？", "写", "请介绍水稻的生长过程，说明需要什么条件。", "列出三门课。"]
GREEDY, WARM = {}, {"temperature": 1.5, "top_p": 0.98, "seed": 5}
ENOUGH = 400  # tokens; a token of the tiny model is one character


def records(
    model: HFModel, prompts: Sequence[str], schema: dict[str, Any], tokens: int = ENOUGH, **how: Any
) -> list[Completion]:
    return model.generate(prompts, Sampling(tokens, **how), [text_of(schema)] * len(prompts))


def assert_valid(done: Sequence[Completion], schema: dict[str, Any]) -> None:
    for completion in done:
        assert completion.finish == "stop", completion
        assert isinstance(parse_record(completion.text, text_of(schema)), dict), completion.text


@pytest.mark.parametrize(
    ("name", "how"), list(product(SCHEMAS, [GREEDY, WARM, WARM | {"repetition_penalty": 1.8}])), ids=str
)
def test_every_record_is_valid(model: HFModel, name: str, how: dict[str, Any]) -> None:
    """`model` stands for a weak one: one is hardly taught, the other has random weights."""
    assert_valid(records(model, [model.chat(prompt) for prompt in PROMPTS], SCHEMAS[name], **how), SCHEMAS[name])


def test_without_a_schema_hardly_any_text_is_one(model: HFModel) -> None:
    """Or else the tests here would show nothing."""
    done = model.generate([model.chat(prompt) for prompt in PROMPTS], Sampling(60, 1.5))
    assert not any(isinstance(parse_record(d.text, text_of(SCHEMAS["enum"])), dict) for d in done)


def schemas() -> st.SearchStrategy[dict[str, Any]]:
    """Small ones, of what `open_ends` lets through."""
    words = st.text('水火的一是 \\"\n/{}好差a1', max_size=4)
    small = st.integers(0, 3)
    leaves = st.one_of(
        st.builds(lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more}, small, small),
        st.builds(
            lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more}, st.integers(-20, 9), small
        ),
        st.builds(lambda values: {"enum": values}, st.lists(words, min_size=1, max_size=3, unique=True)),
        st.sampled_from(
            [
                {"type": "boolean"},
                {"type": "null"},
                {"const": 3},
                {"type": "string", "pattern": "^[水火]{2}$", "maxLength": 2},
            ]
        ),
    )

    def grow(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
        arrays = st.builds(
            lambda items, low, more: {"type": "array", "items": items, "minItems": low, "maxItems": low + more},
            inner,
            st.integers(0, 2),
            st.integers(0, 2),
        )
        either = st.builds(lambda left, right: {"anyOf": [left, right]}, inner, inner)
        return arrays | either | objects(inner)

    def objects(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
        return st.dictionaries(words, inner, max_size=3).flatmap(
            lambda fields: st.sets(st.sampled_from(sorted(fields) or [""])).map(
                lambda needed: closed(fields, sorted(needed & fields.keys()))
            )
        )

    return objects(st.recursive(leaves, grow, max_leaves=4))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(schema=schemas(), seed=st.integers(0, 99), warm=st.booleans())
def test_any_small_schema_is_kept_to(gemma: HFModel, schema: dict[str, Any], seed: int, warm: bool) -> None:
    """Nested arrays may outgrow the limit; whatever ends by itself is a record."""
    done = records(gemma, ["写", "请介绍水稻"], schema, 100, temperature=2.0 if warm else 0.0, seed=seed)
    assert_valid([completion for completion in done if completion.finish == "stop"], schema)
    assert all(completion.n_new == 100 for completion in done if completion.finish != "stop")


@pytest.mark.parametrize("how", [GREEDY, WARM], ids=["greedy", "sampled"])
def test_a_record_depends_on_its_own_prompt_alone(model: HFModel, how: dict[str, Any]) -> None:
    def written(asked: Sequence[str]) -> list[Completion]:
        return records(model, asked, SCHEMAS["courses"], **how)

    prompts = [model.chat(prompt) for prompt in PROMPTS]
    together = written(prompts)
    assert len({done.n_new for done in together}) > 1 or how is GREEDY, "rows must leave the batch at different steps"
    assert [written([prompt])[0] for prompt in prompts] == together
    assert written(prompts[::-1])[::-1] == together
    assert written([prompts[0], *prompts])[1:] == together


def test_rows_of_one_batch_have_schemas_of_their_own_or_none(model: HFModel) -> None:
    prompts = [model.chat(prompt) for prompt in PROMPTS]
    schemas = [text_of(SCHEMAS["enum"]), "", text_of(SCHEMAS["courses"]), ""]
    together = model.generate(prompts, Sampling(ENOUGH, **WARM), schemas)  # type: ignore[arg-type]
    alone = [
        model.generate([prompt], Sampling(ENOUGH, **WARM), [schema])[0]  # type: ignore[arg-type]
        for prompt, schema in zip(prompts, schemas, strict=True)
    ]
    assert together == alone
    for done, schema in zip(together, schemas, strict=True):
        assert not schema or isinstance(parse_record(done.text, schema), dict), done


def test_a_record_that_ends_at_the_limit_is_whole_and_one_token_less_is_cut(llama: HFModel) -> None:
    prompt, schema = llama.chat(PROMPTS[0]), SCHEMAS["enum"]
    (free,) = records(llama, [prompt], schema)
    assert records(llama, [prompt], schema, free.n_new) == [free]
    (cut,) = records(llama, [prompt], schema, free.n_new - 1)
    assert (cut.finish, cut.text) == ("length", free.text[:-1])


def test_nothing_but_an_end_follows_a_whole_record(llama: HFModel) -> None:
    rows = llama._grammars.rows([text_of(SCHEMAS["enum"])] * 2)
    whole = llama.tokens.encode(['{"难度":"易"}'])[0]
    logits = torch.zeros(2, len(llama._head))
    assert rows is not None
    rows.mask(logits, [0, 1], [whole, whole[:-2]])
    assert (logits[0] == 0).nonzero().flatten().tolist() == llama._ends.tolist()
    assert [llama.tokens.decode([index]) for index in (logits[1] == 0).nonzero().flatten().tolist()] == ['"']


def test_chinese_stands_as_it_is_and_white_space_nowhere(gemma: HFModel) -> None:
    for done in records(gemma, [gemma.chat(prompt) for prompt in PROMPTS], SCHEMAS["courses"], **WARM):
        assert "\\u" not in done.text
        assert done.text == json.dumps(json.loads(done.text), ensure_ascii=False, separators=(",", ":"))


def test_a_schema_is_compiled_once(llama: HFModel) -> None:
    grammars = Grammars(llama.tokens, len(llama._head), llama._ends.tolist())
    for _ in range(2):
        grammars.rows([text_of(SCHEMAS["enum"])] * 3)
    assert len(grammars._compiled) == 1
    assert grammars.rows(["", ""]) is None


def test_a_layer_wider_than_the_tokenizer_has_no_say(llama: HFModel) -> None:
    """Models pad their output layer; what no token stands for must not be chosen."""
    size = len(llama._head) + 45
    rows = Grammars(llama.tokens, size, llama._ends.tolist()).rows([text_of(SCHEMAS["courses"])])
    logits = torch.zeros(1, size)
    assert rows is not None
    rows.mask(logits, [0], [llama.tokens.encode(['{"学科":"水'])[0]])
    assert bool(logits[0, len(llama._head) :].isneginf().all())
    assert int((logits == 0).sum()) > 1000


def test_what_the_tokenizer_cannot_write_is_one_line(llama: HFModel) -> None:
    """Before the first token: the names and values of the schema are known."""
    for schema in (closed({"龘": {"type": "null"}}), closed({"难度": {"enum": ["易", "龘"]}})):
        with pytest.raises(ModelError, match=r"the model's tokenizer cannot write '\"?龘"):
            records(llama, ["写"], schema)


def test_a_pattern_that_the_tokenizer_cannot_write_is_one_line(llama: HFModel) -> None:
    with pytest.raises(ModelError, match="cannot write what must come next"):
        records(llama, ["写"], closed({"字": {"type": "string", "pattern": "^[龘靐]$", "maxLength": 1}}))


def test_a_token_that_does_not_follow_is_an_error(llama: HFModel) -> None:
    rows = llama._grammars.rows([text_of(SCHEMAS["enum"])])
    assert rows is not None
    with pytest.raises(ModelError, match=r"^schema: ") as caught:
        rows.mask(torch.zeros(1, len(llama._head)), [0], [llama.tokens.encode(["水"])[0]])
    assert "\n" not in str(caught.value)
