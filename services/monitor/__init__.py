"""Monitor decides whether the world has changed and whether that is worth a retrain.

It is the only owner of statistics, of drift.detected and of every trigger that is not a person's.
"""
