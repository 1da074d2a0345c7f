"""Decides what the model sees and what came of it: the only owner of windows, and of the join of
rows and labels."""
