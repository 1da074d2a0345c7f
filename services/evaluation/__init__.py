"""Evaluation decides whether a candidate is really better; the only owner of the gate."""
