"""`coder init`: a project's environment is shown, agreed to, set up once and tried without a network."""
