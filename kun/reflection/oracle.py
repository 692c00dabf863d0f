"""Asking the oracle: prompts that fit, replies that are read, and another try for those that are refused."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from kun.engine.base import Sampling
from kun.engine.records import Refusal
from kun.errors import TooManyFailed
from kun.params import Engine, Reflection
from kun.project import Project
from kun.prompts import render
from kun.reflection.faults import Pair, without_faults
from kun.reflection.reply import Better, parse_reply, reply_schema
from kun.work.stage import writing_stage


@dataclass(frozen=True)
class Told:
    """What the oracle said of one pair."""

    better: Better | Refusal
    tries: int = 0
    """Replies that were asked for."""
    reply: str | None = None
    """The last one, as it came; None when none came."""

    @property
    def status(self) -> str:
        """new, unchanged, skipped or failed."""
        if isinstance(self.better, Better):
            return "new"
        return self.better.reason if self.better.reason in ("unchanged", "skipped") else "failed"

    @property
    def again(self) -> bool:
        """Whether another reply may do better."""
        return self.status == "failed" and self.reply is not None


class Oracle:
    """The model that reflects, on instructions (`rewrites` true: a new instruction and its answer) or on answers."""

    def __init__(self, project: Project, stage: str, rewrites: bool, params: Reflection, engine: Engine) -> None:
        """Nothing is loaded yet but the tokenizer."""
        self._engine = engine if params.backend == "engine" else replace(engine, backend=params.backend)
        own = replace(self._engine, max_failed_share=1.0)  # held over all rows, not over the few of a retry
        self._stage = writing_stage(project, stage, own, params.model)
        self._rewrites, self._params = rewrites, params

    def reflect(self, pairs: Sequence[Pair]) -> list[Told] | None:
        """What it says of each pair, in order; None on helper ranks.

        A refused reply is asked for again with another seed, up to `retries` times. Helper ranks do not know which these are
        and hand in all prompts: they compute what the main process has planned, and nothing else.
        """
        prompts = [self._prompt(pair) for pair in pairs]
        room = self._engine.context - self._params.max_new_tokens
        sizes = self._stage.tokens.count(prompts)
        told = {
            place: Told(Refusal("prompt_too_long", f"{size} tokens, room for {room}"))
            for place, size in enumerate(sizes)
        }
        asked = [place for place in told if sizes[place] <= room]
        for attempt in range(1 + self._params.retries):
            replies = self._replies([prompts[place] for place in asked], [pairs[place] for place in asked], attempt)
            if replies is not None:
                told |= dict(zip(asked, replies, strict=True))
                asked = [place for place in asked if told[place].again]
        if replies is None:
            return None
        self._limit_lost(list(told.values()))
        return list(told.values())

    @property
    def described(self) -> dict[str, Any]:
        """For the counts of a stage: the model's name and how the first reply is drawn."""
        return {"oracle": self._stage.model_name, "sampling": asdict(self._sampling(0))}

    def _limit_lost(self, told: Sequence[Told]) -> None:
        """TooManyFailed when more pairs are without any reply than `engine.max_failed_share`."""
        lost = [str(one.better) for one in told if one.tries and one.reply is None]
        if len(lost) > self._engine.max_failed_share * len(told):
            raise TooManyFailed(
                f"{self._stage.name}: the oracle gave no reply to {len(lost)} of {len(told)} pairs, more than "
                f"engine.max_failed_share {self._engine.max_failed_share} (the first: {lost[0]}); run again to ask once more"
            )

    def _replies(self, prompts: list[str], pairs: list[Pair], attempt: int) -> list[Told] | None:
        """Of one attempt; a row without any reply has the engine's reason."""
        schemas = [self._schema()] * len(prompts) if self._by_schema else ()
        results = self._stage.generate(prompts, self._sampling(attempt), schemas)
        if results is None:
            return None
        rows = list(zip(results.iter_rows(), self._stage.failures.iter_rows(), strict=True))
        read = [
            Refusal(reason, value) if text is None else parse_reply(text, finish, self._rewrites)
            for (text, finish, _), (reason, value) in rows
        ]
        checked = without_faults(read, pairs, self._params)
        return [Told(better, attempt + 1, text) for better, ((text, *_), _) in zip(checked, rows, strict=True)]

    def _prompt(self, pair: Pair) -> str:
        form = "schema" if self._by_schema else "markers"
        if self._rewrites:
            fields = {"instruction": pair.request, "output": pair.output, "form": form}
            message = render("reflect_instruction", self._params.lang, **fields)
        else:
            message = render("reflect_answer", self._params.lang, form=form, **vars(pair))
        return self._stage.tokens.chat(message)

    def _sampling(self, attempt: int) -> Sampling:
        params = self._params
        return Sampling(
            params.max_new_tokens,
            params.retry_temperature if attempt else params.temperature,
            params.top_p,
            params.repetition_penalty,
            params.seed + attempt,
        )

    def _schema(self) -> str:
        params = self._params
        return reply_schema(self._rewrites, (params.min_instruction, params.max_instruction), params.min_answer)

    @property
    def _by_schema(self) -> bool:
        if self._params.reply == "auto":
            return self._engine.backend != "openai"
        return self._params.reply == "schema"
