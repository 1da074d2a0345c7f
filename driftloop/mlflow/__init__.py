"""MLflow as a neighbour: models come in from it, and runs and versions go out to it, by its own
client, which works in a process of its own.
"""
