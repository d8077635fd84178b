"""URLs of ours are taken whole, others are refused by name, before anything connects."""

import pytest

from gateway.edges.store.client import connect


@pytest.mark.parametrize("url", ["http://h", "redis+cluster://h", "redis+sentinel://h", "embedded", "memory", ""])
def test_a_url_of_another_kind_is_refused_by_name(url: str) -> None:
    with pytest.raises(ValueError, match=r"store\.url: scheme .* is none of redis://, rediss://, unix://"):
        connect(url, 0.5)


def test_a_parameter_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match=r"store\.url: .*colour"):
        connect("redis://h/0?colour=red", 0.5)


def test_user_password_database_certificates_and_patience_come_with_the_url() -> None:
    client = connect(
        "rediss://ada:pa%3Ass@cache.example:6380/3?ssl_ca_certs=/etc/ca.pem&ssl_certfile=/etc/c.pem&ssl_keyfile=/etc/k.pem", 0.5
    )
    given = client.connection_pool.connection_kwargs
    assert (given["username"], given["password"], given["host"], given["port"], given["db"]) == ("ada", "pa:ss", "cache.example", 6380, 3)
    assert (given["ssl_ca_certs"], given["ssl_certfile"], given["ssl_keyfile"]) == ("/etc/ca.pem", "/etc/c.pem", "/etc/k.pem")
    assert given["socket_timeout"] == given["socket_connect_timeout"] == 0.5
    connection = client.connection_pool.connection_class(**given)
    assert connection.ssl_context.check_hostname
