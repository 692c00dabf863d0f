"""Every table of the pipeline: its columns, once, with their meaning.

`id` is the first 128 bits of blake2b over the normalised raw text (hex); a pair keeps the id of the text that it came from.
Scores live in tables of their own, keyed by `id`, so that a moved threshold never touches a model.
"""
