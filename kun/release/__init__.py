"""What leaves the house: formats for trainers, the dataset card, the report."""
