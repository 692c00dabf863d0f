"""Versions of the dataset beside each other: git revisions, experiments, arms, the workspace."""
