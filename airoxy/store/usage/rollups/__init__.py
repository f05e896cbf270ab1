"""Sums of the daily sums: of months and years, of all keys together, of prompts by their size."""
