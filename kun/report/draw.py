"""Vega-Lite and Vega specifications -> SVG text: no browser, no network.

Equal specifications give equal bytes, on any machine: nothing in them is laid out by the width of a text (`autosize` none,
no label limits), for that would hang on the fonts at hand. Colours are those of COLOURS; each gets a class beside it, so
that a dark page can paint it anew.
"""

import re
from typing import Any
from xml.etree import ElementTree

Spec = dict[str, Any]

COLOURS = {
    "ink": ("#1f2a37", "#e6e9ee"),
    "quiet": ("#5c6778", "#a2acba"),
    "line": ("#dde2e8", "#333c47"),
    "pale": ("#d9e3eb", "#2c3a47"),
    "thin": ("#f6d9cf", "#56302a"),
    "mark": ("#b4472e", "#f08a6c"),
    "one": ("#2f6f9f", "#6fb1de"),
    "two": ("#c17a25", "#e0a458"),
    "three": ("#3b8a66", "#6cc79a"),
    "four": ("#8557a3", "#bd9bdb"),
    "five": ("#a34a6b", "#e58fae"),
    "six": ("#4d6b73", "#8fb3bd"),
    "rest": ("#a3adb8", "#697585"),
}
"""Name -> on a light page, on a dark one."""
SERIES = ("one", "two", "three", "four", "five", "six")
FONT = 'system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif'

_SVG = "http://www.w3.org/2000/svg"
_NAMES = {light: name for name, (light, _) in COLOURS.items()}
_DROPPED = {
    "aria-roledescription",
    "aria-hidden",
    "pointer-events",
    "font-family",
    "stroke-miterlimit",
    "class",
    "role",
}
_CONFIG = {
    "background": None,
    "font": "sans-serif",
    "view": {"stroke": None},
    "legend": {"disable": True},
    "axis": {
        "title": None,
        "labelColor": COLOURS["quiet"][0],
        "labelFontSize": 11,
        "labelPadding": 6,
        "labelLimit": 0,
        "labelOverlap": False,
        "labelFlush": False,
        "domainColor": COLOURS["line"][0],
        "gridColor": COLOURS["line"][0],
        "ticks": False,
    },
}


def light(name: str) -> str:
    """The colour to write into a specification."""
    return COLOURS[name][0]


def svg(spec: Spec, title: str) -> str:
    """Draw for a page, whose style knows the classes `fill-<colour>` and `stroke-<colour>`; `title` is what is read aloud."""
    import vl_convert

    asked = {"config": _CONFIG, "autosize": {"type": "none"}, **spec}
    return _finished(vl_convert.vegalite_to_svg(asked, vl_version="5.21"), title)


def vega_svg(spec: Spec, title: str) -> str:
    """As `svg`, of a Vega specification: for what Vega-Lite has no words."""
    import vl_convert

    return _finished(vl_convert.vega_to_svg({"background": None, "autosize": "none", "padding": 0, **spec}), title)


def _finished(drawn: str, title: str) -> str:
    root = ElementTree.fromstring(drawn)
    _tidy(root)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.attrib |= {"class": "plot", "role": "img", "aria-label": title}
    ElementTree.register_namespace("", _SVG)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def alone(drawn: str) -> str:
    """What `svg` drew as a file of its own, for light and dark pages."""
    style = f"<style>.plot {{ font-family: {FONT}; }}\n@media (prefers-color-scheme: dark) {{\n{colour_rules(1)}\n}}</style>"
    head, mark, rest = drawn.partition(">")
    return head + mark + style + rest


def colour_rules(side: int) -> str:
    """CSS of all classes that `svg` gives; `side` is 0 for a light page, 1 for a dark one."""
    return "\n".join(
        f".fill-{name} {{ fill: {both[side]}; }} .stroke-{name} {{ stroke: {both[side]}; }}"
        for name, both in COLOURS.items()
    )


def _tidy(root: ElementTree.Element) -> None:
    """Leave what is seen and what is told: labels of marks become titles, which browsers show when pointed at."""
    for parent in root.iter():
        for child in [one for one in parent if one.get("class") in ("background", "foreground")]:
            parent.remove(child)
    for one in root.iter():
        told = one.attrib.pop("aria-label", None)
        if told and one.get("role") == "graphics-symbol" and "axis" not in (one.get("class") or ""):
            ElementTree.SubElement(one, f"{{{_SVG}}}title").text = told
        for name in [
            name for name in one.attrib if name in _DROPPED or (name == "opacity" and one.attrib[name] == "1")
        ]:
            del one.attrib[name]
        for name in ("d", "transform", "x2", "y2"):
            if name in one.attrib:
                one.attrib[name] = re.sub(r"-?\d+\.\d+", _shorter, one.attrib[name])
        classes = [f"{name}-{_NAMES[one.attrib[name]]}" for name in ("fill", "stroke") if one.get(name) in _NAMES]
        if classes:
            one.attrib["class"] = " ".join(classes)


def _shorter(number: re.Match[str]) -> str:
    return f"{float(number.group()):.1f}".removesuffix(".0")
