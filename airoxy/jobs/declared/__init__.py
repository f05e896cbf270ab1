"""Client keys and groups as a file declares them: reading it, what follows from it, writing it."""
