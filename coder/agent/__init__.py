"""The agent: one loop of model requests and tool calls, under limits that hold."""
