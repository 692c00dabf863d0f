"""The tiny project of the release tests serves the report too."""

from tests.release.conftest import evil, pairs, params, project  # noqa: F401
