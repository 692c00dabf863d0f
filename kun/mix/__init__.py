"""Pairs of all sources in one table."""
