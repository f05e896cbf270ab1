"""The guides, held against the programs that they are about."""
