"""What a project's tests need, found out (`Recipe`), set up once with a network, and shown to every later sandbox."""
