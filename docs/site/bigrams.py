"""Search that finds any piece of Chinese text, in the site and in the reader's browser alike."""

import re

from sphinx.search.en import SearchEnglish

PARTS = re.compile(r"[\u3400-\u9fff]+|[^\W\u3400-\u9fff]+")


class Bigrams(SearchEnglish):
    """English as Sphinx has it; each run of ideographs as its overlapping pairs.

    Sphinx's own Chinese cuts words with jieba in the index but not in the query, so that only whole words are found, and
    nothing without jieba. Pairs need no dictionary: 评判阈值 is found where 评判, 判阈 and 阈值 are.
    """

    lang = "zh"
    js_splitter_code = r"""
function splitQuery(query) {
  const parts = query.match(/[\u3400-\u9fff]+|(?:(?![\u3400-\u9fff])[\p{L}\p{N}_])+/gu) || [];
  return parts.flatMap((part) => /^[\u3400-\u9fff]{3,}$/.test(part)
    ? Array.from({ length: part.length - 1 }, (_, at) => part.slice(at, at + 2)) : [part]);
}
"""

    def split(self, input: str) -> list[str]:
        """Words and pairs in the order of the text; an ideograph alone in its run stands for itself."""
        return [piece for part in PARTS.findall(input) for piece in pieces(part)]


def pieces(part: str) -> list[str]:
    if part[0] < "\u3400" or part[0] > "\u9fff" or len(part) < 3:
        return [part]
    return [part[at : at + 2] for at in range(len(part) - 1)]
