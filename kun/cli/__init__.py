"""`kun VERB`: one verb per stage of dvc.yaml, run in the project's folder. Knobs live in params.yaml.

`kun --help` lists the verbs in the order in which their modules are imported here.
"""

# isort: off
from kun.cli.group import main
from kun.cli import project, stages, look, versions, review, tools, sharing, dynosaur, experience, glan, reflection

__all__ = [
    "dynosaur",
    "experience",
    "glan",
    "look",
    "main",
    "project",
    "reflection",
    "review",
    "sharing",
    "stages",
    "tools",
    "versions",
]
