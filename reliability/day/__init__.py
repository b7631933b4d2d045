"""A robot's day (`make reliability`): the real node over real DDS, under load, with faults, killed again and again."""
