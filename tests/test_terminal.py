from kun.terminal import display_width, printable, text_table


def test_numbers_stand_on_the_right_and_texts_on_the_left() -> None:
    table = text_table(("", "before", "source", "note"), [("茶经", "1,000", "书", "长"), ("x", "-2.5%", "forum", "")])
    assert table.splitlines() == [
        "      before  source  note",
        "茶经   1,000  书      长",
        "x      -2.5%  forum",
    ]


def test_a_column_with_one_text_is_of_texts() -> None:
    assert text_table(("id", "rows"), [("a", "5"), ("b", "none")]).splitlines()[1] == "a   5"


def test_a_record_cannot_steer_the_terminal() -> None:
    assert printable("一\x1b[31m\n二\t三") == "一\ufffd[31m 二 三"


def test_wide_characters_take_two_columns_and_marks_none() -> None:
    assert display_width("茶a\u0301") == 3
