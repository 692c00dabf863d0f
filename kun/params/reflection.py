"""Selective Reflection-Tuning."""

from dataclasses import dataclass
from typing import Annotated, Literal

from kun.params.values import Count, Language, Positive, Seed, Share, Writer


@dataclass(frozen=True)
class Reflection:
    """An oracle rewrites pairs; the losses of the student, the base model, say which version stays."""

    pairs: str
    """Folder of a dataset with id, instruction, input, output and source; with licence, if it has one: data/pairs, data/seeds."""
    gate: str
    """Report of that dataset's gate."""
    model: Writer
    """The oracle. A server knows the four as teacher, base, label and chat (engine.server.models)."""
    backend: Literal["engine", "openai"]
    """Of the oracle. engine: engine.backend; openai: the server of engine.server, while the student stays with engine.backend."""
    reply: Literal["auto", "schema", "markers"]
    """schema: a JSON record (under a grammar with hf, asked for from a server); markers: text between the published markers.
    auto: markers from a server, which knows them whatever it is, else schema."""
    lang: Language
    """Of the prompts."""
    temperature: Annotated[float, 0, 2]
    top_p: Annotated[float, 0, 1]
    """Tokens are drawn from the likeliest that make up this probability."""
    repetition_penalty: Annotated[float, 1, 2]
    """Divides the logits of tokens already written; 1: off."""
    max_new_tokens: Positive
    """Critique, instruction and answer together; a longer reply is refused."""
    retries: Annotated[int, 0, 4]
    """Times that a refused reply is asked for again, each with another seed; then the old version stays."""
    retry_temperature: Annotated[float, 0.01, 2]
    """Above 0, for a greedy retry says the same again."""
    instructions: bool
    """Rewrite instructions too; false for pairs whose instruction is bound to a source: their answers alone are rewritten."""
    min_instruction: Count
    """Characters of a new instruction, as `max_instruction`."""
    max_instruction: Positive
    min_answer: Count
    """Characters of a new answer."""
    margin: Share
    """Relative difference of two scores from which one is better: a smaller one is within the error of the losses."""
    max_repeated: Share
    """Share of the instruction's runs of 4 characters that stand in a new answer: a low reversed IFD is no merit from here on,
    unless the old answer repeated as much."""
    max_ifd: Annotated[float, 0, None]
    """Of a finished pair, exclusive; from 1 on the instruction does not help to predict the answer."""
    max_rifd: Annotated[float, 0, None]
    """Likewise of the answer for its instruction."""
    keep_unreflected: bool
    """Keep pairs whose answer the student did not exchange, too; false: as the published code does."""
    limit: Count
    """The first pairs only; 0: all."""
    seed: Seed
    """Of the draws; a retry adds its number."""

    def __post_init__(self) -> None:
        if self.min_instruction > self.max_instruction:
            raise ValueError("min_instruction must not be above max_instruction")
