"""Defaults that bound everything a client can make grow."""

from dataclasses import fields

from gateway.edges.server.options import AdminOptions, ServerOptions


def test_everything_is_bounded_by_default_and_listens_on_this_machine_only():
    for field in fields(ServerOptions):
        if field.name != "listen":
            assert getattr(ServerOptions(), field.name) > 0
    assert ServerOptions().listen.startswith("127.0.0.1:") and AdminOptions().listen.startswith("127.0.0.1:")
    assert ServerOptions().headers_max < ServerOptions().body_max
