import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from kun.engine.tokens import TokenizerFile
from kun.errors import ModelError
from kun.models import PLAIN_TEMPLATE
from tests.engine.conftest import tokens_of
from tests.tiny import CHATML

DEFAULT_SYSTEM = (  # as Qwen2.5 and SmolLM2 have it
    "{% for m in messages %}{% if loop.first and m.role != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PLAIN = PLAIN_TEMPLATE.read_text(encoding="utf-8")


@pytest.mark.parametrize("template", [CHATML, PLAIN], ids=["chatml", "plain"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=st.text("河水 \n\t　。<>{}%|&\"'a"))
def test_chat_equals_apply_chat_template(tiny_base: Path, template: str, message: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    expected = tokenizer.apply_chat_template(
        [{"role": "user", "content": message}], chat_template=template, add_generation_prompt=True, tokenize=False
    )
    assert tokens_of(tiny_base, template).chat(message) == expected


def test_the_plain_template_renders_a_request(tiny_base: Path) -> None:
    """Spelt out, for transformers could render a wrong template just as well."""
    assert tokens_of(tiny_base, PLAIN).chat(" 河\n") == "<bos>### 指令：\n河\n\n### 回答：\n"


@pytest.mark.parametrize(
    ("template", "header"),
    [
        (PLAIN, "<bos>### 回答：\n"),
        (CHATML, "<|im_start|>assistant\n"),
        ("[INST] {{ messages[0].content }} [/INST]", ""),
        (DEFAULT_SYSTEM, "<|im_start|>system\nYou help.<|im_end|>\n<|im_start|>assistant\n"),
        ("{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('none') }}{% endif %}"
         "<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<model>{% endif %}", "<bos><model>"),
        ("{% if add_generation_prompt %}reply: {% else %}asked: {% endif %}{{ messages[0].content }}", ""),
    ],
    ids=["plain", "chatml", "nothing before a reply", "a system turn by default", "no system turn", "no common beginning"],
)  # fmt: skip
def test_the_header_is_what_stands_before_a_reply_that_nobody_asked_for(
    tiny_base: Path, template: str, header: str
) -> None:
    assert tokens_of(tiny_base, template).header() == header


def test_a_document_begins_with_its_token_or_behind_the_end_of_another(tiny_base: Path) -> None:
    assert tokens_of(tiny_base).begin() == "<bos>"
    assert TokenizerFile(tiny_base, CHATML, "", "<eos>").begin() == "<eos>"


FOREIGN = {
    "end of turn by eos_token (Zephyr, TinyLlama)": (
        "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{{ eos_token }}\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
    ),
    "asks for tools (Llama 3)": (
        "{{ bos_token }}{% if tools is not none %}TOOLS{% endif %}{% if documents is not none %}DOCS{% endif %}"
        "{% for m in messages %}{{ m.content }}{% endfor %}"
    ),
    "breaks out of a loop": "{% for m in messages %}{{ m.content }}{% break %}{% endfor %}",
    "marks what is learned": "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
    "writes JSON": "{{ messages | tojson }}",
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_templates_of_other_models_render_as_in_transformers(tiny_base: Path, kind: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    expected = tokenizer.apply_chat_template(
        [{"role": "user", "content": "河"}], chat_template=FOREIGN[kind], add_generation_prompt=True, tokenize=False
    )
    assert tokens_of(tiny_base, FOREIGN[kind]).chat("河") == expected


def test_a_template_that_refuses_is_a_model_error(tiny_base: Path) -> None:
    with pytest.raises(ModelError, match="chat template: no system turn"):
        tokens_of(tiny_base, "{{ raise_exception('no system turn') }}").chat("河")


@pytest.mark.parametrize("template", ["{% for %}", "{{ no_such_function('x') }}", "{{ ''.__class__.mro() }}"])
def test_a_broken_template_is_one_line(tiny_base: Path, template: str) -> None:
    with pytest.raises(ModelError, match="chat template") as caught:
        tokens_of(tiny_base, template).chat("河")
    assert "\n" not in str(caught.value)


def test_count_and_encode_add_no_special_tokens_and_know_them_in_text(tiny_base: Path) -> None:
    tokens = tokens_of(tiny_base)
    texts = ["", "河水", "<|im_start|>user\n河<|im_end|>\n"]
    assert tokens.count(texts) == [0, 2, 9]
    ids = tokens.encode(texts)
    assert [len(row) for row in ids] == tokens.count(texts)
    assert ids[2][0] == tokens.id_of("<|im_start|>") and ids[2][-2] == tokens.id_of("<|im_end|>")
    assert tokens.decode(ids[2]) == "user\n河\n", "markers are no text"
    assert tokens.id_of("<no such token>") is None
    assert tokens.count([]) == [] == tokens.encode([])


def test_long_texts_are_not_cut(tiny_base: Path, tmp_path: Path) -> None:
    """A tokenizer.json may carry the truncation and padding of the last training; counts would lie."""
    settings_ = json.loads((tiny_base / "tokenizer.json").read_text(encoding="utf-8"))
    settings_["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    settings_["padding"] = {
        "strategy": "BatchLongest",
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "<pad>",
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(settings_), encoding="utf-8")
    assert TokenizerFile(tmp_path, "", "").count(["河水河水河水", "河"]) == [6, 1]


def test_a_folder_without_tokenizer_names_the_fix(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no tokenizer\.json; convert the model with a fast tokenizer first"):
        TokenizerFile(tmp_path, "", "")
