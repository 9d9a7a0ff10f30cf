"""Tables in Markdown: whole rows, and numbers at the right."""

from __future__ import annotations

import pytest

from dysample_lib.study.markdown import markdown_table


def test_columns_of_numbers_stand_at_the_right():
    rows = [("bilinear", "26.3 ± 0.7", "", 4), ("naive", "–", "−4.9", 5)]
    assert markdown_table(("step", "IoU [%]", "change", "rank"), rows).splitlines() == [
        "| step | IoU [%] | change | rank |",
        "|---|---:|---:|---:|",
        "| bilinear | 26.3 ± 0.7 |  | 4 |",
        "| naive | – | −4.9 | 5 |",
    ]


def test_a_word_among_numbers_makes_a_column_of_words():
    text = markdown_table(("float16", "what"), [("✓", "a"), ("0.5", "b")])
    assert text.splitlines()[1] == "|---|---|"


def test_no_row_is_a_head():
    assert markdown_table(("a", "b"), []).splitlines() == ["| a | b |", "|---|---|"]


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"have 2 cells, got \['1'\]"):
        markdown_table(("a", "b"), [("1",)])
