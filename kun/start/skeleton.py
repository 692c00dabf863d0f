"""The files that a new project begins with. They stand once, at the top of this repository; a wheel carries them along.

setup.py reads this file as well, so nothing of kun is imported here.
"""

import subprocess
from pathlib import Path

CARRIED = "project"
"""Folder beside this file in an installed package."""
PATTERNS = (
    "params.yaml",
    "dvc.yaml",
    ".gitignore",
    ".dvcignore",
    ".gitattributes",
    ".dvc/config",
    "expectations/**/*.json",
    "pipelines/*/dvc.yaml",
    "configs/accelerate/*.yaml",
    "data/raw/**/*",
    "data/seed/*",
    "data/eval/*",
    "data/unsafe/*",
    "data/votes/*",
    "data/datasets/**/*",
    "data/glan/*.yaml",
    "data/glan/votes.csv",
    "data/votes/README.md",
    "models/kenlm/*",
)


def home() -> Path:
    """Where the files lie: in the installed package, or at the top of the repository that it runs from."""
    carried = Path(__file__).with_name(CARRIED)
    return carried if carried.is_dir() else Path(__file__).parents[2]


def names(root: Path) -> list[str]:
    """Paths below `root` of what a project begins with, sorted. In a git repository only what git tracks.

    So raw texts of a developer's own, which lie in data/raw, never get into a package.
    """
    found = {path for pattern in PATTERNS for path in root.glob(pattern) if path.is_file()}
    files = {path.relative_to(root).as_posix() for path in found if path.parent.name != "__pycache__"}
    tracked = _tracked(root)
    return sorted(files if tracked is None else files & tracked)


def _tracked(root: Path) -> set[str] | None:
    if not (root / ".git").exists():
        return None
    done = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
    return set(done.stdout.split("\0")) if done.returncode == 0 else None
