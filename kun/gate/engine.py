"""Great Expectations behind a small door: frames and expectations in, outcomes out."""

import functools
import gc
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from kun.errors import KunError
from kun.gate.suite import Expectation

_EXCERPT = 80


@dataclass(frozen=True)
class Example:
    """One offending row."""

    id: str
    excerpt: str
    """The start of the value that did not fit."""


@dataclass(frozen=True)
class Outcome:
    """What became of one expectation on one frame."""

    passed: bool
    observed: Any
    """What an expectation on the table or a column type saw; None for one on values."""
    checked: int | None
    """Values looked at (nulls left out); None for an expectation that does not count values."""
    unexpected: int | None
    examples: list[Example]


class Engine:
    """A Great Expectations context in memory; the first one of a process costs the import."""

    def __init__(self, max_examples: int) -> None:
        gx = _great_expectations()
        from great_expectations.data_context.types.base import ProgressBarsConfig

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        self._suite = gx.ExpectationSuite
        asset = context.data_sources.add_pandas("kun").add_dataframe_asset("frame")
        self._frames = asset.add_batch_definition_whole_dataframe("whole")
        self._max_examples = max_examples

    def validate(self, where: str, frame: pl.DataFrame, expectations: Sequence[Expectation]) -> list[Outcome]:
        """Check `frame`; one outcome for each expectation, in order.

        Raises KunError, led by `where`, for an unknown type, wrong arguments, or an expectation that could not be
        computed: faults of the suite, not of the data.
        """
        suite = self._suite(name="kun", expectations=[_build(where, i, e) for i, e in enumerate(expectations)])
        result_format: dict[str, Any] = {"result_format": "SUMMARY", "partial_unexpected_count": self._max_examples}
        if "id" in frame.columns:
            result_format["unexpected_index_column_names"] = ["id"]
        batch = self._frames.get_batch({"dataframe": frame.to_pandas(use_pyarrow_extension_array=True)})
        results = batch.validate(suite, result_format=result_format).results
        outcomes: dict[int, Outcome] = {}
        for result in results:  # those that raised come first, whatever their place in the suite
            place = result.expectation_config.meta["place"]
            if problem := _raised(result.exception_info):
                raise KunError(f"{where}: {expectations[place].name} could not be computed: {problem}")
            outcomes[place] = _outcome(bool(result.success), result.result, expectations[place], self._max_examples)
        return [outcomes[place] for place in range(len(expectations))]


@functools.cache
def _great_expectations() -> Any:
    """Import the package, silenced.

    Half of the 3-4 s is its own code, a third scipy, and the top-level import brings all of it. The collector rests
    meanwhile and then leaves those objects alone, for they live as long as the process: a check takes 4.5 s, not 5.9.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read at import
    collecting = gc.isenabled()
    gc.disable()
    try:
        import great_expectations as gx
    finally:
        if collecting:
            gc.enable()
    gc.freeze()
    # It reports through results; what it logs besides would only mix into the one line that kun prints.
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
    return gx


def _build(where: str, place: int, expectation: Expectation) -> Any:
    """One Great Expectations object; built here because a suite logs and drops those that it cannot build."""
    from great_expectations.exceptions import GreatExpectationsError
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    configuration = ExpectationConfiguration(expectation.type, expectation.kwargs, meta={"place": place})
    try:
        return configuration.to_domain_obj()
    except (GreatExpectationsError, ValueError, TypeError) as error:
        problem = " ".join(str(error).split())
        raise KunError(f"{where}: {expectation.name} is not a valid expectation: {problem}") from None


def _raised(info: dict[str, Any]) -> str:
    """The exception in an `exception_info`, "" when there is none; it is flat or keyed by metric."""
    for entry in [info] if "raised_exception" in info else info.values():
        if entry["raised_exception"]:
            return " ".join(str(entry["exception_message"]).split())
    return ""


def _outcome(passed: bool, result: dict[str, Any], expectation: Expectation, limit: int) -> Outcome:
    if "unexpected_count" not in result:
        return Outcome(passed, result.get("observed_value"), None, None, [])
    found = [
        Example(_text(row["id"]), _text(row.get(expectation.column)))
        for row in (result.get("partial_unexpected_index_list") or [])[:limit]
        if isinstance(row, dict)  # a frame without `id` gives places instead
    ]
    checked = result["element_count"] - result.get("missing_count", 0)
    return Outcome(passed, None, checked, result["unexpected_count"], found)


def _text(value: Any) -> str:
    return "null" if value is None else str(value)[:_EXCERPT]
