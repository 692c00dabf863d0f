"""Training the label model and the chat model from the seeds."""
