"""From raw files to the texts that go to the models."""
