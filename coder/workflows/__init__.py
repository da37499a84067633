"""What is done with the agent: fix and run, their gates and their evidence."""
