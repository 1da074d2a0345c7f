"""Decides what is live; the only owner of the log of record, of artifacts, and of every topic's
making.
"""
