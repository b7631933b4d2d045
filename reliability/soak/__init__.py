"""Soak test of the node over real DDS (`make soak`): under load, with faults, and ended by signals again and again."""
