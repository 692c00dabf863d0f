"""The Kun method: label, judge, polish, and the rules between."""
