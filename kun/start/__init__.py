"""A project of one's own from the installed package."""
