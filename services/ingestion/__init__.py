"""Decides whether a source record is well-formed, and in which order things happened; the only
owner of that order.
"""
