"""Greedy text by llama.cpp, parallel sequences in one context: PROMPTS.json (lists of token ids), a GGUF file, new tokens.

Prints one JSON line: contender, version, seconds, tokens (new ones). The end of a text is passed over, so that every
contender writes the same number of tokens.
"""

import ctypes
import json
import sys
import time
from pathlib import Path

import llama_cpp as llama
import numpy as np

PARALLEL = 32


def main(prompts: list[list[int]], gguf: str, new: int) -> None:
    """Complete all prompts, PARALLEL at a time, longest first."""
    llama.llama_backend_init()
    quiet = llama.llama_log_callback(lambda *_: None)
    llama.llama_log_set(quiet, ctypes.c_void_p(0))
    model = llama.llama_model_load_from_file(gguf.encode(), llama.llama_model_default_params())
    prompts = sorted(prompts, key=len, reverse=True)
    params = llama.llama_context_default_params()
    params.n_seq_max = PARALLEL
    params.n_ctx = PARALLEL * (len(prompts[0]) + new + 8)
    params.n_batch = params.n_ubatch = 512
    params.n_threads = params.n_threads_batch = 2
    params.kv_unified = True
    context = llama.llama_init_from_model(model, params)
    vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    batch = llama.llama_batch_init(params.n_batch, 0, 1)
    start = time.perf_counter()
    written = sum(
        complete(context, batch, prompts[place : place + PARALLEL], new, vocabulary, params.n_batch)
        for place in range(0, len(prompts), PARALLEL)
    )
    seconds = time.perf_counter() - start
    print(
        json.dumps(
            {"contender": "llama.cpp", "version": llama.__version__, "seconds": round(seconds, 2), "tokens": written}
        )
    )


def complete(context: object, batch: object, prompts: list[list[int]], new: int, vocabulary: int, room: int) -> int:
    """New tokens of one group of sequences."""
    llama.llama_memory_clear(llama.llama_get_memory(context), True)
    entries = [
        (token, place, row, place == len(ids) - 1) for row, ids in enumerate(prompts) for place, token in enumerate(ids)
    ]
    following = {}
    for first in range(0, len(entries), room):
        following |= decode(context, batch, entries[first : first + room], vocabulary)
    for step in range(1, new):
        entries = [(following[row], len(ids) + step - 1, row, True) for row, ids in enumerate(prompts)]
        following = decode(context, batch, entries, vocabulary)
    return new * len(prompts)


def decode(
    context: object, batch: object, entries: list[tuple[int, int, int, bool]], vocabulary: int
) -> dict[int, int]:
    """Feed (token, position, sequence, asked) entries; the likeliest next token of each sequence that was asked."""
    for place, (token, position, row, asked) in enumerate(entries):
        batch.token[place] = token
        batch.pos[place] = position
        batch.n_seq_id[place] = 1
        batch.seq_id[place][0] = row
        batch.logits[place] = asked
    batch.n_tokens = len(entries)
    if llama.llama_decode(context, batch) != 0:
        raise RuntimeError("llama_decode failed")
    likeliest = {}
    for place, (_, _, row, asked) in enumerate(entries):
        if asked:
            logits = np.ctypeslib.as_array(llama.llama_get_logits_ith(context, place), shape=(vocabulary,))
            likeliest[row] = int(logits.argmax())
    return likeliest


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2], int(sys.argv[3]))
