"""Counts the instructions of fixed work and compares them with the figures that are checked in.

Shared cores make times jump; instructions do not. `work` is what is done, `__main__` counts and judges.
"""
