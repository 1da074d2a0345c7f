"""The whole of Driftloop on one machine without Docker: a broker from wheels and a small
supervisor.
"""
