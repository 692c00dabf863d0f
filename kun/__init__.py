"""kun: raw text to instruction-tuning datasets that people trust."""

__version__ = "0.1.0"
