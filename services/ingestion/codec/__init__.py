"""Wire ↔ domain: `source` reads JSON records with every check of a field, `envelopes` writes ours
and reads them back.
"""
