"""Where model-written commands run, and the copy of the repository that they see.

This room imports nothing of ours: it can be read, tested and reused alone.
"""
