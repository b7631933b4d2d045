"""Fuzzing of every parser of files and messages (`make fuzz`)."""
