"""Model backends behind two small protocols."""
