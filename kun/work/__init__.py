"""Resumable model work."""
