from kun.report.quality import quality


def stage(name: str, **by_source: dict[str, object]) -> dict[str, object]:
    return {"stage": name, "by_source": by_source}


def test_a_source_is_followed_from_its_records_to_the_models() -> None:
    counts = [
        stage(
            "ingest", web={"kept": 8, "chars": 800, "rejected": {"duplicate_id": 2}}, wiki={"kept": 5, "rejected": {}}
        ),
        stage("clean", web={"kept": 5, "chars": 500, "rejected": {"links": 2, "spam": 1}, "private": {"邮箱": 3}}),
        stage(
            "dedup", web={"kept": 3, "chars": 300, "rejected": {"near_duplicate": 2}}, wiki={"kept": 0, "rejected": {}}
        ),
        stage("label", web={"kept": 1, "rejected": {"limit": 2}}),
    ]
    found = quality(counts)
    assert found["web"] == {
        "rows_in": 10,
        "kept": 3,
        "share": 0.3,
        "chars": 300,
        "duplicates": 4,
        "private": {"邮箱": 3},
        "reasons": {"duplicate_id": 2, "links": 2, "near_duplicate": 2, "spam": 1},
    }
    assert (found["wiki"]["rows_in"], found["wiki"]["kept"], found["wiki"]["share"]) == (5, 0, 0.0)


def test_a_source_without_rows_has_no_share() -> None:
    assert quality([stage("clean", web={"kept": 0, "rejected": {}})])["web"]["share"] == 0.0
    assert quality([]) == {}
