"""Weights to functions of arrays; nothing else knows a framework."""
