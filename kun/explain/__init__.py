"""What became of a record, and why: reads what the stages left, writes nothing."""
