"""The report of a run: one offline page a language, pictures and tables for DVC, metrics."""
