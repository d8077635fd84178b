from gateway.domain.reading import Reading


def test_nothing_counted_is_no_data_rather_than_a_perfect_record():
    assert Reading(0, 0, 300.0).ratio is None


def test_the_ratio_is_bad_over_valid():
    assert Reading(3, 12, 300.0).ratio == 0.25
    assert Reading(0, 12, 300.0).ratio == 0.0
