"""Generators and checks of the house. Nothing here runs in a service."""
