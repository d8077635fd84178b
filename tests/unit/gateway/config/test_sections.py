"""Tests of the remaining sections."""

from dataclasses import fields

from gateway.config.fields import yaml_name
from gateway.config.schema import docstrings
from gateway.config.sections import (
    DEFAULT_CLASS,
    UNITS_MAX,
    USD_MAX,
    ClassSection,
    KeyLimitsSection,
    LimitsSection,
    ModelLimitsSection,
    Sections,
    TenantSection,
)


def test_keys_are_kept_as_digests_and_a_plain_key_is_not_repeated() -> None:
    problems = list(TenantSection("t", ("sha256:" + "0" * 64, "sk-plain", "0" * 64)).problems())
    assert [p.path for p in problems] == [("keys", 1), ("keys", 2)]
    assert "sk-plain" not in problems[0].message and "sluice keys" in problems[0].message


def test_a_tenants_keys_do_not_show_in_its_repr() -> None:
    assert "abc" not in repr(TenantSection("t", ("sha256:abc",)))


def test_limits_of_keys_and_models_are_some_of_their_own_and_each_stands_once() -> None:
    key, other = "sha256:" + "0" * 64, "sha256:" + "1" * 64
    tenant = TenantSection(
        "t",
        (key,),
        limits=LimitsSection(rpm=UNITS_MAX + 1, usd_per_day=USD_MAX + 0.5),
        key_limits=(KeyLimitsSection(rpm=5, key=key), KeyLimitsSection(tpm=UNITS_MAX + 1, key=other), KeyLimitsSection(rpm=6, key=key)),
        model_limits=(ModelLimitsSection(model="strong"), ModelLimitsSection(rpm=1, model="strong")),
    )
    assert [p.path for p in tenant.problems()] == [
        ("limits", "rpm"),
        ("limits", "usd_per_day"),
        ("key_limits", 1, "tpm"),
        ("key_limits", 2, "key"),
        ("model_limits", 0),
        ("model_limits", 1, "model"),
        ("key_limits", 1, "key"),
    ]
    assert list(TenantSection("t", (key,), limits=LimitsSection(UNITS_MAX, UNITS_MAX, USD_MAX)).problems()) == []


def test_a_class_is_worth_something() -> None:
    assert [p.path for p in ClassSection("c", 0.0, 1.0).problems()] == [("value",)]
    assert list(DEFAULT_CLASS.problems()) == []


def test_every_section_has_its_reference_text() -> None:
    texts = docstrings(Sections)
    assert [yaml_name(f.name) for f in fields(Sections) if not texts.get(f.name)] == []
