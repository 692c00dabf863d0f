"""`python -m kun`, the form that `accelerate launch` needs."""

from kun.cli import main

main()
