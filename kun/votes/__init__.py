"""What people say of records: data/votes/<reviewer>.jsonl, one line a vote, and what a majority of them decides."""
