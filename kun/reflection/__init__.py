"""Selective Reflection-Tuning (arXiv:2402.10110): an oracle rewrites pairs, the losses of the student say which version stays."""
