"""Keras networks, one architecture a file, and the contract that they keep."""
