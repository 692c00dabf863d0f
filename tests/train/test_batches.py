from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from kun.train.batches import LENGTH_STEP, collate, in_order
from kun.train.examples import IGNORED, Encoded


@given(st.integers(1, 30), st.integers(1, 4), st.integers(1, 30), st.integers(0, 5))
def test_each_epoch_is_a_new_order_of_the_same_examples(count: int, epochs: int, rows: int, seed: int) -> None:
    rows = min(rows, count)
    examples = [Encoded([number] * (number % 7 + 1), [number] * (number % 7 + 1)) for number in range(count)]
    units = [[example] for example in examples]
    ordered = in_order(units, epochs, rows, seed)
    size = count // rows * rows
    assert len(ordered) == epochs * size
    for start in range(0, len(ordered), size):
        epoch = [row["input_ids"][0] for row in ordered[start : start + size]]
        assert len(set(epoch)) == size
    assert ordered == in_order(units, epochs, rows, seed)
    assert all(row in map(asdict, examples) for row in ordered)


@given(st.integers(0, 9), st.integers(0, 9), st.sampled_from([1, 2, 3, 4, 6]), st.integers(0, 5))
def test_a_pair_is_in_one_batch_when_batches_are_even(pairs: int, singles: int, rows: int, seed: int) -> None:
    if 2 * pairs + singles < rows:
        return
    units = [[Encoded([number], [verdict] * (number + 1)) for verdict in (0, 1)] for number in range(pairs)]
    units += [[Encoded([100 + number], [2] * 200)] for number in range(singles)]
    ordered = in_order(units, 2, rows, seed)
    assert len(ordered) == 2 * ((2 * pairs + singles) // rows * rows)
    for start in range(0, len(ordered) if rows % 2 == 0 else 0, rows):
        numbers = [row["input_ids"][0] for row in ordered[start : start + rows]]
        assert all(numbers.count(number) == 2 for number in numbers if number < 100)


def test_epochs_differ_and_batches_are_of_like_length() -> None:
    lengths = [number % 10 * LENGTH_STEP + number for number in range(1, 41)]
    ordered = in_order([[Encoded([0] * n, [0] * n)] for n in lengths], 2, 4, 7)
    sizes = [len(row["input_ids"]) for row in ordered]
    assert sizes[:40] != sizes[40:]
    for start in range(0, 80, 4):
        batch = sizes[start : start + 4]
        assert max(batch) // LENGTH_STEP - min(batch) // LENGTH_STEP <= 1
    assert sizes[:40] != sorted(sizes[:40]), "short batches first would be a curriculum nobody asked for"


def test_rows_are_padded_on_the_right_and_padding_is_neither_seen_nor_learned() -> None:
    batch = collate([{"input_ids": [5, 6], "labels": [IGNORED, 6]}, {"input_ids": [7], "labels": [7]}])
    assert batch["input_ids"].tolist() == [[5, 6], [7, 0]]
    assert batch["labels"].tolist() == [[IGNORED, 6], [7, IGNORED]]
