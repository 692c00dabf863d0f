"""`kun review`: a local page on which people read records and vote, and what their votes say (`kun votes`)."""
