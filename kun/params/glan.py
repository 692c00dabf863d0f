"""GLAN: instructions from a taxonomy of human knowledge."""

from dataclasses import dataclass
from typing import Annotated, Literal

from kun.params.values import Count, Language, Positive, Seed, Share, Writer

Temperature = Annotated[float, 0, 2]


@dataclass(frozen=True)
class Glan:
    """All stages of pipelines/glan."""

    path: str
    """Folder of taxonomy.yaml, proposed.yaml and votes.csv."""
    disciplines: list[str]
    """Keys of the disciplines to expand; []: all that people keep."""
    lang: Language
    """Of the prompts, and so of the pairs."""
    teacher: Writer
    """Writes lists and syllabi, and puts them into records. A server knows the four as teacher, base, label and chat
    (engine.server.models)."""
    questioner: Writer
    """Sets the questions: the teacher in the paper. Of the small models the label model does it best, whose trade it is."""
    answerer: Writer
    """Writes the answers; the paper takes a faster model than the teacher."""
    plain: bool
    """What a small model needs while it is decoded: names that begin with a letter (in Chinese with a character, or up to three
    capitals before it), where it would count (1, 1.1, 1.1.1), and questions of one sentence, where it would never end, in
    Chinese of one that asks behind up to two more. A strong one knows names that begin otherwise (3D printing, pH值) and
    questions that tell more."""
    queries: Positive
    """Lists of subjects asked for per discipline, pooled."""
    list_subjects: Positive
    """Subjects read from one list at most."""
    subjects: Count
    """Of a discipline, those that most lists name; 0: all."""
    sessions: Annotated[int, 2, None]
    """Class sessions of a syllabus at most."""
    concepts: Positive
    """Key concepts of a session at most."""
    questions: Positive
    """Of a subject. A larger number keeps the questions that are there."""
    discipline_questions: Count
    """Of a discipline at most, taken from its subjects in turn; 0: no limit."""
    p_double: Share
    """Share of questions over two sessions, where a subject has two."""
    sampling: Literal["sizes", "sets"]
    """sizes: sessions and number of concepts are drawn uniformly. sets: each set of concepts is as likely as another."""
    temperature: Temperature
    """Of the teacher, with `top_p`."""
    top_p: Share
    record_temperature: Temperature
    """When a list or a syllabus is put into records, and of questions. The paper: as `temperature`."""
    answer_temperature: Temperature
    """Of the answerer, with `answer_top_p`: lower, for fewer mistakes."""
    answer_top_p: Share
    repetition_penalty: Annotated[float, 1, 2]
    """Divides the logits of tokens already written; 1: off (the paper)."""
    list_tokens: Positive
    """Of a list of subjects."""
    syllabus_tokens: Positive
    """Of a syllabus."""
    record_tokens: Positive
    """Of a record: the subjects of a list, the sessions of a syllabus, one question."""
    answer_tokens: Positive
    """Of an answer; one that is cut off is asked for again."""
    attempts: Positive
    """Times that a reply is asked for until it can be used, each with a seed of its own."""
    min_question: Positive
    """Characters of a question."""
    min_answer: Positive
    """Characters of an answer."""
    thin: Count
    """A chosen discipline with fewer pairs is marked as thin in the coverage."""
    licence: str
    """Of the pairs: the terms of the models that write them."""
    seed: Seed
    """Of all draws; each takes its own from it, by what it is drawn for."""

    @property
    def max_new_tokens(self) -> int:
        """Of the longest text that a stage may ask for."""
        return max(self.list_tokens, self.syllabus_tokens, self.record_tokens, self.answer_tokens)
