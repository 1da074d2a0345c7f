"""Decides what the live model answers; the only owner of which model that is on this machine, at
this moment.
"""
