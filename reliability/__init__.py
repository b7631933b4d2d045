"""What the package must survive: hostile bytes (fuzzing), a robot's day (scenarios), being killed (killing).

Development only: nothing here is installed, and nothing in mp_perception imports it.
"""
