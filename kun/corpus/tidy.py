"""Repairs of one text that keep its meaning: markup away, hard line breaks joined."""

import html
import re
from html.entities import html5
from itertools import pairwise
from textwrap import dedent

CJK = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"

_BLOCK = (
    "address article aside audio blockquote body br caption center col colgroup dd div dl dt fieldset figcaption "
    "figure footer form h1 h2 h3 h4 h5 h6 head header hr html iframe li link main meta nav ol option p pre section "
    "select table tbody td textarea tfoot th thead title tr ul video"
)
_INLINE = (
    "a abbr acronym b bdi bdo big button cite code del dfn em font i img input ins kbd label mark nobr o:p q s samp "
    "script small source span strike strong style sub sup tt u var wbr"
)
_ATTRIBUTE = r"""\s+[A-Za-z_:@][\w:.@-]*\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>]+)"""


def _tag(names: str) -> re.Pattern[str]:
    """A complete tag of one of the names, attributes with values: `a<b 且 c>d` and `vector<int>` are none."""
    return re.compile(rf"</?(?:{'|'.join(names.split())})(?:{_ATTRIBUTE})*\s*/?>", re.IGNORECASE)


_NARROW = re.compile(rf"[^{CJK}\u3000-\u303f\uff01-\uff5e]+")
_BLOCK_TAG, _INLINE_TAG = _tag(_BLOCK), _tag(_INLINE)
_CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
_UNSEEN = re.compile(
    r"<!--.*?-->|<!DOCTYPE[^<>]*>|<(script|style|noscript|head)\b[^<>]*>.*?</\1\s*>"
    r"|<(\w+)\s[^<>]*(?:display:\s*none|class=[\"'](?:nav|menu|breadcrumb|footer)\b)[^<>]*>.*?</\2>",
    re.DOTALL | re.IGNORECASE,
)
_FORUM_IMAGE = re.compile(r"\[img[^\]\n]*\][^\[\n]*\[/img\]", re.IGNORECASE)
_FORUM_PAIR = re.compile(
    r"\[(b|i|u|s|url|quote|size|color|font|align|list|code)(?:=[^\]\n]*)?\]((?:(?!\[\1\]).)*?)\[/\1\]",
    re.IGNORECASE | re.DOTALL,
)
_FORUM_DEPTH = 3  # levels of nesting that are undone
_GAP = re.compile(r"\n\s*\n\s*")  # between blocks HTML allows any white space, and shows one
_LAYOUT_SPACE = re.compile(rf"(?<=[{CJK}，。、；：！？”）])\u00a0+(?=[{CJK}“（])")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|([A-Za-z][A-Za-z0-9]{1,31}));")


NEEDS_STRIP = r"<[!/a-zA-Z]|&[#a-zA-Z][0-9A-Za-z]{0,31};|(?i)\[(?:/|img)"
"""Every text that `strip_markup` changes has this; one in seventy of real ones."""


def strip_markup(text: str) -> str:
    """Remove HTML and forum tags, what they hide, and entities; code between backticks stays as it is.

    Block tags become line breaks. Only known tags and entities count, so that `a < b` and `AT&T` survive.
    """
    if not ("<" in text or "&" in text or "[" in text):
        return text
    pieces = _CODE.split(text)
    pieces[::2] = [_strip_piece(piece) for piece in pieces[::2]]
    return "".join(pieces)


def _strip_piece(text: str) -> str:
    text = _FORUM_IMAGE.sub("", _UNSEEN.sub("", text))
    for _ in range(_FORUM_DEPTH if "[/" in text else 0):
        text = _FORUM_PAIR.sub(r"\2", text)
    parted, tags = _BLOCK_TAG.subn("\n", text)
    text = _INLINE_TAG.sub("", _GAP.sub("\n\n", parted) if tags else parted)
    text = _ENTITY.sub(lambda found: _character(found[0], found[1]), text)
    return _LAYOUT_SPACE.sub("", text)


def _character(entity: str, name: str | None) -> str:
    return html.unescape(entity) if name is None or f"{name};" in html5 else entity


MIN_WRAP = 30
"""Columns (an ideograph takes two): nobody wraps prose narrower, while verses and list items are."""
CUT_SHARE = 0.6
"""Of the line ends of a block; below, they are meant."""

_UNFINISHED = re.compile(r"[^。！？…!?；：:|]$")
_NEW_ITEM = re.compile(r"\s|[-*+•·>#|]|[(（]?(?:\d{1,2}|[一二三四五六七八九十]{1,3})[.、)）]")
_ASCII_EDGE = re.compile(r"[!-~]")
CHINESE_STOP = r"[。！？，]"


CUT_END = r"[^。！？…!?；：:|\n]\n[ \t]*[^\s\-*+•·>#|]"
"""A line end that may be a cut; each cut has one."""


def join_wrapped(text: str) -> str:
    """Undo hard line wrapping inside sentences, block by block (blocks are parted by blank lines)."""
    return "\n\n".join(map(join_block, text.split("\n\n")))


def join_block(block: str) -> str:
    """Join lines if most but the last are cut inside a sentence at about the same width, at least MIN_WRAP.

    A line counts as cut when it is 80% as wide as the widest, does not end like a sentence, and the next one does not
    begin like a paragraph or list item. An indent that all lines share goes.
    """
    if "\n" not in block or not re.search(CHINESE_STOP, block):
        return block
    first, *rest = block.split("\n")
    lines = [first.strip(), *dedent("\n".join(rest)).split("\n")]
    widths = [_columns(line) for line in lines]
    widest = max(widths)
    if widest < MIN_WRAP:
        return block
    cut = [
        width >= 0.8 * widest and bool(_UNFINISHED.search(line)) and not _NEW_ITEM.match(following)
        for width, (line, following) in zip(widths, pairwise(lines), strict=False)
    ]
    if sum(cut) < max(1, CUT_SHARE * len(cut)):
        return block
    joined = lines[0]
    for is_cut, line in zip(cut, lines[1:], strict=True):
        words = _ASCII_EDGE.match(joined[-1:]) and _ASCII_EDGE.match(line)
        joined += (" " if words else "") + line if is_cut else "\n" + line
    return joined


def _columns(line: str) -> int:
    return 2 * len(line) - sum(map(len, _NARROW.findall(line)))
