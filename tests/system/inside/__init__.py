"""What runs inside a machine, beside airoxy: plain programs that need only the standard library."""
