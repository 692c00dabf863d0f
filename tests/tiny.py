"""A tiny base model made on the fly: two layers, a tokenizer of characters, a minute of nothing, no network.

It is taught the seeds for a few steps, so that its replies are Chinese and come to an end; they still make no sense.
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

ROOT = Path(__file__).parent.parent
MARKERS = ["<pad>", "<bos>", "<eos>", "<|im_start|>", "<|im_end|>", "<unk>"]
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PARROT_TIMES = 6
PLAIN = [chr(code) for code in range(32, 127)] + ["\n"] + list("，。、：；？！“”（）《》【】好差")


def make_tiny_model(folder: Path, steps: int = 60, hidden: int = 48) -> Path:
    """Write a model in transformers format to `folder` and return it; deterministic."""
    pairs = [json.loads(line) for line in (ROOT / "data/seed/seeds.jsonl").open(encoding="utf-8")]
    tokenizer = _tokenizer("".join(pair["instruction"] + pair["output"] for pair in pairs))
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=hidden,
            intermediate_size=2 * hidden,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=4096,
            tie_word_embeddings=True,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        )
    )
    _teach(model, tokenizer, pairs, steps)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer(text: str) -> PreTrainedTokenizerFast:
    letters = sorted({*text, *PLAIN})
    vocabulary = {token: index for index, token in enumerate([*MARKERS, *letters])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    raw.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
        chat_template=CHATML,
    )


def _teach(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, pairs: list[dict[str, str]], steps: int
) -> None:
    """Next-token training on short chats: enough to learn which characters are frequent and that turns end."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    turns = [
        f"<|im_start|>user\n{pair['output'][:24]}<|im_end|>\n<|im_start|>assistant\n{pair['instruction'][:12]}<|im_end|>"
        for pair in pairs
    ]
    model.train()
    for step in range(steps):
        batch = [turns[(step * 16 + offset) % len(turns)] for offset in range(16)]
        encoded = tokenizer(batch, return_tensors="pt", padding=True, add_special_tokens=False)
        labels = encoded.input_ids.masked_fill(encoded.attention_mask == 0, -100)
        loss = model(input_ids=encoded.input_ids, attention_mask=encoded.attention_mask, labels=labels).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    model.eval()


def make_random_model(folder: Path, kind: str, like: Path) -> Path:
    """A model of GPT-2's or Gemma 3's kind with random weights and the tokenizer of the folder `like`."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(like)
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    torch.manual_seed(1)
    makers: dict[str, Callable[[], PreTrainedModel]] = {
        "gpt2": lambda: GPT2LMHeadModel(
            GPT2Config(
                vocab_size=len(tokenizer),
                n_positions=2048,
                n_embd=32,
                n_layer=2,
                n_head=2,
                initializer_range=0.3,
                **ends,
            )
        ),
        "gemma": lambda: Gemma3ForCausalLM(
            Gemma3TextConfig(
                vocab_size=len(tokenizer),
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=1,
                head_dim=16,
                sliding_window=8,
                layer_types=["sliding_attention", "full_attention"],
                initializer_range=0.3,
                **ends,
            )
        ),
    }
    makers[kind]().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_constant_model(folder: Path, like: Path) -> Path:
    """The model in `like` with a head of zeros: every token is as probable as any other."""
    model = LlamaForCausalLM.from_pretrained(like)
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(torch.zeros_like(model.lm_head.weight))
    model.save_pretrained(folder)
    PreTrainedTokenizerFast.from_pretrained(like).save_pretrained(folder)
    return folder


def make_parrot(folder: Path, like: Path, words: str, steps: int = 100) -> Path:
    """A model that has learned to answer each of `words` with itself, `PARROT_TIMES` times over, and any without a question."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(like)
    torch.manual_seed(2)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        )
    )
    replies = [f"<|im_start|>assistant\n{word * PARROT_TIMES}<|im_end|>" for word in words]
    turns = [f"<|im_start|>user\n{word}<|im_end|>\n{reply}" for word, reply in zip(words, replies, strict=True)]
    asked, alone = (
        tokenizer(texts, return_tensors="pt", add_special_tokens=False).input_ids for texts in (turns, replies)
    )
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(steps):
        (model(input_ids=asked, labels=asked).loss + model(input_ids=alone, labels=alone).loss).backward()
        optimiser.step()
        optimiser.zero_grad()
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
