import pytest

from gateway.wire.members import is_deeper, members, string_end, value_start


def spans(text: bytes) -> list[tuple[str, bytes, bytes]]:
    return [(m.key, text[m.key_start : m.key_end], text[m.value_start : m.value_end]) for m in members(text)]


def test_members_are_found_with_their_bytes_in_any_spacing():
    text = b' \n{ "a" :\t[1, {"a": "]}"}] ,"b":-1.5e3,"c" : "x\\"}" , "d":{},"e":null}\r\n'
    assert spans(text) == [
        ("a", b'"a"', b'[1, {"a": "]}"}]'),
        ("b", b'"b"', b"-1.5e3"),
        ("c", b'"c"', b'"x\\"}"'),
        ("d", b'"d"', b"{}"),
        ("e", b'"e"', b"null"),
    ]


def test_an_escaped_key_is_read_as_the_parser_reads_it():
    assert spans(b'{"mod\\u0065l":1,"model":2}') == [("model", b'"mod\\u0065l"', b"1"), ("model", b'"model"', b"2")]


def test_an_object_inside_can_be_walked_from_its_brace():
    text = b'{"x":{"y":1}}'
    assert [m.key for m in members(text, 5)] == ["y"]


@pytest.mark.parametrize("text", [b"", b"[]", b'{"a"}', b'{"a":[1', b'{"a":1 2}', b"{a:1}", b'{"a":}'])
def test_what_is_no_object_is_an_error_and_no_endless_walk(text: bytes):
    with pytest.raises(ValueError):
        list(members(text))


def test_a_string_of_a_million_escapes_is_walked_without_a_stack():
    text = b'"' + b"\\n" * 1_000_000 + b'"'
    assert string_end(text, 0) == len(text)


def test_a_value_starts_behind_colon_and_spaces():
    assert value_start(b'"a" \n:\t 7', 3) == 8
    with pytest.raises(ValueError):
        value_start(b'"a" 7', 3)


@pytest.mark.parametrize("levels", [199, 200, 201])
def test_depth_is_exact_at_the_limit(levels: int):
    text = b'{"a":' * (levels - 1) + b"[]" + b"}" * (levels - 1)
    assert is_deeper(text, 200) is (levels > 200)


def test_brackets_in_strings_are_not_depth():
    text = b'{"a":"' + b"[{" * 500 + b'","b":"\\"' + b"[" * 300 + b'","c":"\\\\","d":[]}'
    assert not is_deeper(text, 200)
    assert is_deeper(b'{"a":"\\\\","b":' + b"[" * 250 + b"]" * 250 + b"}", 200)


def test_many_flat_brackets_are_not_depth():
    assert not is_deeper(b"[" + b",".join([b'{"a":[]}'] * 1000) + b"]", 3)
    assert is_deeper(b"[" + b",".join([b'{"a":[]}'] * 1000) + b"]", 2)
