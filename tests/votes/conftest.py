"""The small project of the review tests, whose records are at every place of their life, serves the votes too."""

from tests.review.conftest import project, records  # noqa: F401
