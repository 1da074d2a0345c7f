"""The page of the loop: a small web server that is a client like any other. It reads topics and
asks the registry; it decides nothing and keeps nothing on disk.
"""
