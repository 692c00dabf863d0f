"""Screenshots of the project's own pages for the docs: `python -m tests.screenshots` after `make run`, with fonts for Chinese.

Each is what fits into a window, not the whole page; a page with a fault (see tests/browser.py) gives none.
"""

from pathlib import Path

from tests.browser import CHROMIUM, DESKTOP, PHONE, launched, opened, shot

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
MOST = 300_000  # bytes of a picture
REPORT = (("index.html", ""), ("index.zh-CN.html", "-zh-CN"))


def main() -> None:
    """Write docs/images/report-*.png."""
    if CHROMIUM is None:
        raise SystemExit("no chromium: `make browser` installs it")
    with launched() as browser:
        for page, language in REPORT:
            for width, size in ((DESKTOP, "desktop"), (PHONE, "phone")):
                for dark in (False, True):
                    path = IMAGES / f"report{language}-{size}-{'dark' if dark else 'light'}.png"
                    with opened(browser, ROOT / "reports" / page, width, dark) as shown:
                        shot(shown, path, whole=False)
                    told = path.stat().st_size
                    if told > MOST:
                        raise SystemExit(f"{path}: {told:,} bytes, more than {MOST:,}")
                    print(f"{path.relative_to(ROOT)}: {told:,} bytes")


if __name__ == "__main__":
    main()
