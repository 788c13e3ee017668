"""Patch sets: cut from rasters, filtered, split by scene, stored, and read again by training."""
