"""What the console shows of the other hosts of a fleet."""
