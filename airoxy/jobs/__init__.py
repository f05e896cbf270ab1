"""What timers, commands and the server do in the background; each job takes its clock."""
