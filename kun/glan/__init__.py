"""GLAN: instructions from a taxonomy of human knowledge (arXiv:2402.13064)."""
