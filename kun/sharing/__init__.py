"""How a release reaches others: fetched from a project, a folder or the hub, and published there."""
