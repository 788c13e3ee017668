"""Geometry, plans, model facts, events and errors: standard library only, Python 3.9 syntax."""
