"""Dynosaur: instructions from the metadata of annotated datasets, filled in with their rows by code."""
