"""`make chaos`: load through airoxy with random faults, and whether its promises held."""
