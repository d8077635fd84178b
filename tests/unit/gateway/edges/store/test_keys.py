"""Keys: one hash slot per script, the schema in every prefix, rings long enough for every budget."""

from redis.crc import key_slot

from gateway.core.budget.counts import KEPT, WIDTHS_S
from gateway.edges.store.keys import SCHEMA, WIDTHS, ControlKeys, FeedbackKeys, GroupKeys, LimitKeys

CONTROL = [key for name, key in vars(ControlKeys).items() if not name.startswith("_")]


def slots_of(keys: list[str]) -> set[int]:
    return {key_slot(k.encode()) for k in keys}


def test_every_key_of_a_flush_lies_on_one_hash_slot() -> None:
    for group in ("fleet", "0", "255"):
        keys = GroupKeys(group)
        slots = (keys.slot(w.seconds, n) for w in WIDTHS for n in (0, 7, 180_000_000))
        touched = [keys.sequence("boot-1"), keys.schema, *keys.touched, *slots]
        assert len(slots_of(touched)) == 1


def test_leading_publishing_and_overriding_share_one_hash_slot() -> None:
    assert len(slots_of(CONTROL)) == 1


def test_all_limits_of_a_tenant_share_one_hash_slot_and_tenants_are_spread() -> None:
    names = ("tenant/requests", "tenant/usd", "key:abababababababab/tokens", "model:org/model:7b/requests")
    for tenant in ("acme", "org/team:a@b"):
        assert len(slots_of([key for name in names for key in LimitKeys(tenant).of(name)])) == 1
    assert len({key_slot(LimitKeys(f"t{i}").of("tenant/usd")[0].encode()) for i in range(256)}) > 200


def test_groups_are_spread() -> None:
    assert len({key_slot(GroupKeys(str(g)).sequence("r").encode()) for g in range(256)}) > 200


def test_every_key_names_the_schema_and_no_two_are_the_same() -> None:
    keys = GroupKeys("fleet")
    every = [keys.sequence("r"), *keys.touched, *(keys.slot(w.seconds, 5) for w in WIDTHS), FeedbackKeys.day(3)]
    every += CONTROL
    every += [*LimitKeys("acme").of("tenant/usd"), *LimitKeys("acme").of("tenant/tokens")]
    assert all(k.startswith(f"sluice:{SCHEMA}:{{") for k in every)
    assert len(set(every)) == len(every)
    assert keys.schema == "sluice:{fleet}:schema", "the one key that every build finds, whatever its layout"


def test_the_rings_hold_what_the_budgets_look_back() -> None:
    assert tuple(w.seconds for w in WIDTHS) == WIDTHS_S
    for width in WIDTHS:
        assert width.kept_s >= KEPT[width.seconds] * width.seconds
    assert WIDTHS[-1].kept_s >= 745 * 3600
