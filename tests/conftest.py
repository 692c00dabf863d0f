from pathlib import Path

import pytest

from tests.tiny import make_tiny_model


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny model in transformers format, made once."""
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "base")
