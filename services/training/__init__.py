"""Training decides what a better model could be; the only owner of runs' acceptance, and of every
fit.
"""
