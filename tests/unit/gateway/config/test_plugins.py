"""Tests of choosing plugins."""

from dataclasses import is_dataclass

import pytest

from gateway.config.plugins import LAW_KINDS, SLI_KINDS, Chosen, Kinds
from gateway.core.pricing.laws.static import StaticLaw


def test_every_plugin_has_options_that_operators_can_write() -> None:
    for kinds in (SLI_KINDS, LAW_KINDS):
        assert kinds.registry
        for kind in kinds.registry:
            assert is_dataclass(kinds.options(kind))


def test_a_plugin_without_required_options_can_be_taken_by_its_kind() -> None:
    assert LAW_KINDS.default("shadow_price") == Chosen("shadow_price", LAW_KINDS.options("shadow_price")())
    with pytest.raises(TypeError):
        LAW_KINDS.default("static")


def test_markers_of_different_registries_differ() -> None:
    assert hash(Kinds({"static": StaticLaw})) != hash(LAW_KINDS) and hash(LAW_KINDS) == hash(Kinds(LAW_KINDS.registry))
