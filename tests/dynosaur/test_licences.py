import pytest

from kun.dynosaur.licences import Verdict, judge_licence, spdx

ALLOWED = ["CC0-1.0", "cc-by-4.0", "MIT", "cc-by-nc-4.0"]


@pytest.mark.parametrize(
    ("named", "verdict"),
    [
        ([], Verdict("", "no_licence", False)),
        (["", "  "], Verdict("", "no_licence", False)),
        (["other"], Verdict("other", "licence_not_allowed", False)),
        (["unknown"], Verdict("unknown", "licence_not_allowed", False)),
        (["cc-by-nc-nd-4.0"], Verdict("cc-by-nc-nd-4.0", "licence_not_allowed", True)),
        (["mit"], Verdict("mit", "", False)),
        (["CC BY 4.0"], Verdict("cc-by-4.0", "", False)),
        (["cc-by-nc-4.0"], Verdict("cc-by-nc-4.0", "", True)),
        (["CC BY-SA 3.0"], Verdict("cc-by-sa-3.0", "licence_not_allowed", False)),
        (["mit", "cc0-1.0"], Verdict("cc0-1.0 AND mit", "", False)),
        (["mit", "gpl-3.0"], Verdict("gpl-3.0 AND mit", "licence_not_allowed", False)),
    ],
)
def test_only_what_is_allowed_passes(named: list[str], verdict: Verdict) -> None:
    assert judge_licence(named, ALLOWED) == verdict


@pytest.mark.parametrize("name", ["CC0", "cc0-1.0", "Public  Domain", "CC0-1.0 ", "CC0 1.0"])
def test_spellings_of_a_licence_are_one(name: str) -> None:
    assert spdx(name) == "cc0-1.0"
