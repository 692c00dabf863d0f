"""The default backend: transformers on one device per process."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import Cache

from kun.engine.base import Completion, Gauge, Sampling, Span, TokenLoss
from kun.engine.cache import growing_cache, repeated
from kun.engine.devices import fits_or_says_so, keep_freed_memory, pick_device, pick_dtype
from kun.engine.draws import Draws
from kun.engine.grammar import Grammars
from kun.engine.head import logits_of, losses_of, softcap
from kun.engine.loading import cap_of, check_model, load_model, minds_gaps, places_of
from kun.engine.prefixes import shared_prefix, shared_prefixes, telling_prefixes
from kun.engine.tokens import TokenizerFile
from kun.errors import ModelError


class HFModel:
    """A causal language model, with a LoRA adapter merged in when given; implements `Model`.

    Everything is computed in `dtype`; log-probabilities are taken in float32.
    """

    def __init__(
        self, folder: Path, tokens: TokenizerFile, end_token: str, adapter: Path | None = None, dtype: str = "auto"
    ) -> None:
        """Load weights to the process's device; ModelError when they do not load."""
        keep_freed_memory()
        self.tokens = tokens
        self.device = pick_device()
        self.model = load_model(folder, pick_dtype(dtype, self.device), adapter).to(self.device).eval()
        check_model(self.model)
        self._ends = torch.tensor(_end_ids(self.model, tokens, end_token), device=self.device)
        self._body = self.model.base_model  # hidden states only: the head is applied where it is needed
        self._head = self.model.get_output_embeddings().weight
        self._cap, self._places = cap_of(self.model), places_of(self.model)
        self._prefix: tuple[tuple[int, ...], Cache] | None = None
        self._grammars = Grammars(tokens, len(self._head), self._ends.tolist())

    def chat(self, message: str) -> str:
        """Render one user turn."""
        return self.tokens.chat(message)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        return self.tokens.count(texts)

    @fits_or_says_so
    @torch.inference_mode()
    def generate(
        self, prompts: Sequence[str], sampling: Sampling, schemas: Sequence[str] = (), seeds: Sequence[int] = ()
    ) -> list[Completion]:
        """Complete prompts as one batch; rows that end leave the batch, so the longest holds nobody's memory."""
        encoded = self.tokens.encode(prompts)
        self._check_places(max(map(len, encoded)) + sampling.max_new_tokens)
        cache = growing_cache()
        step_ids, mask = self._begun(encoded, cache)
        draws = Draws(prompts, sampling, self._grammars.rows(schemas), seeds)
        written: list[list[int]] = [[] for _ in prompts]
        finish = ["length"] * len(prompts)
        active = list(range(len(prompts)))
        positions = _positions(mask, step_ids.shape[1])
        for step in range(sampling.max_new_tokens + 1):
            hidden = self._body(
                input_ids=step_ids, attention_mask=mask, position_ids=positions, cache=cache, use_cache=True
            ).last_hidden_state
            chosen = draws.next(self._logits(hidden[:, -1]), active, written)
            ended = torch.isin(chosen, self._ends)
            for row in ended.nonzero().flatten().tolist():
                finish[active[row]] = "stop"
            if step == sampling.max_new_tokens:
                break  # this pass only asked whether the text would have ended here
            going = (~ended).nonzero().flatten()
            if len(going) == 0:
                break
            if len(going) < len(active):
                cache.batch_select_indices(going)
                mask, positions, chosen = mask[going], positions[going], chosen[going]
                active = [active[row] for row in going.tolist()]
            for row, token in zip(active, chosen.tolist(), strict=True):
                written[row].append(token)
            step_ids = chosen[:, None]
            mask = torch.cat([mask, mask.new_ones(len(active), 1)], dim=1)
            positions = positions[:, -1:] + 1
        return [self._completion(ids, reason) for ids, reason in zip(written, finish, strict=True)]

    @fits_or_says_so
    @torch.inference_mode()
    def choices(self, prompts: Sequence[str], choices: Sequence[str]) -> list[list[float]]:
        """Log-probability that the reply begins like each choice and no other; see `Model.choices`.

        The tokens that all prompts begin with are computed once, and choices that differ in their last token only share
        one row: two verdicts cost one.
        """
        heads = self.tokens.encode(prompts)
        tails = telling_prefixes(self.tokens.encode(choices))
        shared = shared_prefix(heads)
        stems = list(dict.fromkeys(tuple(tail[:-1]) for tail in tails))
        rows = [[*head[shared:], *stem] for head in heads for stem in stems]
        self._check_places(shared + max(map(len, rows)))
        counts = [len(stem) + 1 for _ in heads for stem in stems]
        cache = self._prefix_cache(tuple(heads[0][:shared]), len(rows))
        states = self._last_states(rows, counts, cache, shared)
        places = [stems.index(tuple(tail[:-1])) for tail in tails]
        wanted = [states[start + place] for start in range(0, len(rows), len(stems)) for place in places]
        sums = self._summed_losses(wanted, tails * len(heads))
        return [[-loss for loss in sums[start : start + len(tails)]] for start in range(0, len(sums), len(tails))]

    @fits_or_says_so
    @torch.inference_mode()
    def losses(self, pairs: Sequence[tuple[str, str]]) -> list[TokenLoss]:
        """Loss of each (context, continuation)."""
        contexts = self.tokens.encode([context for context, _ in pairs])
        targets = self.tokens.encode([continuation for _, continuation in pairs])
        begin = self.model.config.bos_token_id
        heads = [context or ([] if begin is None else [begin]) for context in contexts]
        return self._losses_behind(heads, targets)

    @fits_or_says_so
    @torch.inference_mode()
    def span_losses(self, spans: Sequence[Span]) -> list[TokenLoss]:
        """Loss of the leading tokens of each text behind its context."""
        heads = self.tokens.encode([context for context, _, _ in spans])
        texts = self.tokens.encode([text for _, text, _ in spans])
        return self._losses_behind(heads, [ids[:n] for ids, (_, _, n) in zip(texts, spans, strict=True)])

    @fits_or_says_so
    @torch.inference_mode()
    def embeddings(self, texts: Sequence[str]) -> list[list[float]]:
        """Mean hidden state of each text's tokens, computed as at the beginning of a document.

        The beginning token itself does not count: it has the same large state in every text, so that short texts would
        resemble each other. A text longer than the model has places counts as far as they go.
        """
        begin = self.model.config.bos_token_id
        heads = [] if begin is None else [begin]
        encoded = [row[: self._places and self._places - len(heads)] for row in self.tokens.encode(texts)]
        states = self._last_states([[*heads, *row] for row in encoded], [len(row) for row in encoded], None, 0)
        return [state.float().mean(0).tolist() for state in states]

    def gauge(self) -> Gauge:
        """Device, type and attention as they were chosen, and the peak of the GPU's memory."""
        on_gpu = self.device.type == "cuda"
        return Gauge(
            device=torch.cuda.get_device_name(self.device) if on_gpu else self.device.type,
            dtype=str(self.model.dtype).removeprefix("torch."),
            attention=self.model.config._attn_implementation,
            peak_memory=torch.cuda.max_memory_allocated(self.device) if on_gpu else 0,
        )

    @cached_property
    def _minds_gaps(self) -> bool:
        return minds_gaps(self.model)

    def _begun(self, rows: list[list[int]], cache: Cache) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids of each row that are still to compute, and the mask of these and of what lies in `cache`, both padded on the left.

        A beginning that rows share is computed once: GLAN sets all questions on a subject behind the same syllabus. Not where
        the model would mind the padding between a beginning and its rest.
        """
        heads, owners = shared_prefixes(rows)
        if len(heads) == len(rows) or self._minds_gaps:
            return _left_padded(rows, self.device)
        ids, mask = _left_padded(heads, self.device)
        self._body(
            input_ids=ids,
            attention_mask=mask,
            position_ids=_positions(mask, ids.shape[1]),
            cache=cache,
            use_cache=True,
        )
        of_row = torch.tensor(owners, device=self.device)
        cache.batch_select_indices(of_row)
        rest, own = _left_padded(
            [row[len(heads[owner]) :] for row, owner in zip(rows, owners, strict=True)], self.device
        )
        return rest, torch.cat([mask[of_row], own], dim=1)

    def _completion(self, ids: list[int], reason: str) -> Completion:
        text = self.tokens.decode(ids).strip()
        return Completion(text, reason if text else "empty", len(ids))

    def _check_places(self, tokens: int) -> None:
        """ModelError when a row of so many tokens is longer than the positions that the model has learned."""
        if self._places is not None and tokens > self._places:
            raise ModelError(
                f"a row may take {tokens} tokens, and this model has {self._places} positions; lower engine.context, or "
                "losses.max_length where it scores"
            )

    def _prefix_cache(self, prefix: tuple[int, ...], rows: int) -> Cache | None:
        """Keys and values of a prefix, repeated for each row; the last prefix is kept, for all batches share a rubric."""
        if not prefix:
            return None
        if self._prefix is None or self._prefix[0] != prefix:
            cache = growing_cache()
            self._body(input_ids=torch.tensor([prefix], device=self.device), cache=cache, use_cache=True)
            self._prefix = (prefix, cache)
        return repeated(self._prefix[1], rows)

    def _last_states(
        self, rows: list[list[int]], counts: list[int], cache: Cache | None, shared: int
    ) -> list[torch.Tensor]:
        """Hidden states at the last `counts[i]` positions of each row, behind `shared` tokens that lie in `cache`.

        Rows are padded on the right, where nothing that counts can see it: padding between prefix and row would push
        the prefix out of a sliding window.
        """
        width = max(1, *(len(row) for row in rows))
        ids = torch.tensor([row + [0] * (width - len(row)) for row in rows], device=self.device)
        hidden = self._body(
            input_ids=ids,
            position_ids=torch.arange(shared, shared + width, device=self.device).expand(len(rows), -1),
            cache=cache,
            use_cache=cache is not None,
        ).last_hidden_state
        ends = [len(row) for row in rows]
        return [states[end - count : end] for states, end, count in zip(hidden, ends, counts, strict=True)]

    def _losses_behind(self, heads: list[list[int]], targets: list[list[int]]) -> list[TokenLoss]:
        """Loss of each target behind its head; without one, of all tokens but the first, which nothing predicts."""
        rows, predicted = [], []
        for head, target in zip(heads, targets, strict=True):
            tail = target if head else target[1:]
            rows.append([*(head or target[:1]), *tail[:-1]])
            predicted.append(tail)
        self._check_places(max(map(len, rows)))
        states = self._last_states(rows, [len(tail) for tail in predicted], None, 0)
        sums = self._summed_losses(states, predicted)
        return [TokenLoss(total, len(tail)) for total, tail in zip(sums, predicted, strict=True)]

    def _summed_losses(self, states: list[torch.Tensor], targets: list[list[int]]) -> list[float]:
        """Sum of -log p of each row's targets (nats); token t is predicted by the state at its place."""
        flat = torch.tensor([token for row in targets for token in row], device=self.device, dtype=torch.long)
        losses = losses_of(self._head, torch.cat(states), flat, self._cap)
        return [float(part.sum()) for part in losses.cpu().double().split([len(row) for row in targets])]

    def _logits(self, states: torch.Tensor) -> torch.Tensor:
        """Float32 logits, [positions, vocabulary]."""
        return softcap(logits_of(self._head, states).T, self._cap)


def _end_ids(model: Any, tokens: TokenizerFile, end_token: str) -> list[int]:
    own = model.generation_config.eos_token_id if model.generation_config is not None else None
    ids = own if isinstance(own, list) else [own]
    return sorted({i for i in [*ids, model.config.eos_token_id, tokens.id_of(end_token)] if isinstance(i, int)})


def _left_padded(rows: list[list[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask, [rows, longest]; padding is token 0 with mask 0."""
    width = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for index, row in enumerate(rows):
        if row:
            ids[index, -len(row) :] = torch.tensor(row)
            mask[index, -len(row) :] = 1
    return ids.to(device), mask.to(device)


def _positions(mask: torch.Tensor, count: int) -> torch.Tensor:
    """Place of each of the last `count` tokens in its row, padding not counted, [rows, count]."""
    return (mask.cumsum(1) - 1).clamp(min=0)[:, -count:]
