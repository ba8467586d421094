from tests.bench.images import compare
from tests.bench.separate_images import SeparateImage


def test_the_ratio_is_what_separate_images_hold_over_what_ours_do_the_asked_for_count_first() -> None:
    images = [
        SeparateImage("a", {"1": 10, "2": 20}, {"cuda12.1": {"2": 20, "3": 300}}),
        SeparateImage("b", {"1": 10, "2": 20}, {"cuda12.1": {"2": 20, "3": 300}}),
    ]
    found = compare(images, 5, 335)
    assert [row.separate_bytes for row in found] == [
        2 * (5 + 10 + 20 + 300),
        5 + 2 * (10 + 20) + 320,
        2 * (5 + 10 + 20),
        5 + 2 * (10 + 20),
    ]
    assert found[0].ratio == 2.0
