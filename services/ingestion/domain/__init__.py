"""The decisions of ingestion, pure: is this row sound, which comes first, is it late, has it come
before.
"""
