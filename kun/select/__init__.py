"""Selecting pairs: the losses of a scorer on each pair, what follows from them, and the choice among the pairs."""
