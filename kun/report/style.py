"""How pages look, and what their policy calls it: no page has a style that is not in its head."""

import base64
import hashlib
from pathlib import Path

from kun.report.draw import colour_rules

STYLE = Path(__file__).with_name("page") / "page.css"


def style(*files: Path) -> str:
    """The rules of the files, with both sets of colours of pictures."""
    rules = "".join(file.read_text(encoding="utf-8") for file in files)
    dark = f"@media (prefers-color-scheme: dark) {{\n{colour_rules(1)}\n}}"
    return f"{rules}{colour_rules(0)}\n@media screen {{\n{dark}\n}}\n"


def policy_hash(text: str) -> str:
    """As a Content-Security-Policy names what may run or style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
