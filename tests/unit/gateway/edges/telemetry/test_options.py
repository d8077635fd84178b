from gateway.edges.telemetry.options import DecisionLogOptions


def test_the_log_is_bounded_on_disk_and_in_memory_by_default():
    options = DecisionLogOptions()
    assert options.path is None
    assert options.rotate_at * (options.keep + 1) <= 512 * 1024 * 1024
    assert 0 < options.buffer_max <= 100_000
