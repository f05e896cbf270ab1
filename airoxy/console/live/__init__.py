"""What goes on, live: one look at a time for everybody who watches."""
