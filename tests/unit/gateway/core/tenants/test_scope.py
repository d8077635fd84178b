"""Which limits a request falls under."""

from gateway.core.tenants.scope import is_limited, limits_of, names_of
from gateway.domain.catalog import Limits, Tenant
from gateway.domain.limit import LimitKind

KEY = "ab" * 32
TENANT = Tenant(
    "acme",
    (KEY,),
    "standard",
    Limits(rpm=600, usd_per_day=0.5),
    key_limits={KEY: Limits(rpm=60)},
    model_limits={"strong": Limits(tpm=3000)},
)


def test_all_scopes_count_the_widest_first() -> None:
    found = limits_of(TENANT, KEY, "strong")
    assert [(one.name, one.amount, one.per_s) for one in found] == [
        ("tenant/requests", 600, 10.0),
        ("tenant/usd", 500_000_000, 0.0),
        ("key:abababababababab/requests", 60, 1.0),
        ("model:strong/tokens", 3000, 50.0),
    ]
    assert [one.model for one in found] == [None, None, None, "strong"]
    assert found[0].said == "600 requests per minute" and found[3].said == "3000 tokens per minute for model strong"
    assert found[2].said == "60 requests per minute for this key" and found[1].kind is LimitKind.USD


def test_another_key_and_another_model_fall_under_fewer() -> None:
    assert [one.name for one in limits_of(TENANT, None, "weak")] == ["tenant/requests", "tenant/usd"]
    assert limits_of(TENANT, "cd" * 32, "weak") == limits_of(TENANT, None, "weak")


def test_a_tenant_is_limited_by_any_scope() -> None:
    assert is_limited(TENANT) and not is_limited(Tenant("free", (), "standard"))
    assert is_limited(Tenant("k", (KEY,), "standard", key_limits={KEY: Limits(rpm=1)}))
    assert is_limited(Tenant("m", (), "standard", model_limits={"strong": Limits(rpm=1)}))
    assert not is_limited(Tenant("n", (KEY,), "standard", key_limits={KEY: Limits()}))


def test_all_names_of_a_tenant_are_known_to_forget_the_others() -> None:
    assert names_of(TENANT) == {"tenant/requests", "tenant/usd", "key:abababababababab/requests", "model:strong/tokens"}
