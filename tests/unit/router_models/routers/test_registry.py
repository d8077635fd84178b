from pathlib import Path

import router_models.routers
from router_models.routers.registry import FITTERS, ROUTERS


def test_every_file_of_the_room_is_registered_under_its_own_name():
    folder = Path(router_models.routers.__path__[0])
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "base", "registry"}
    assert files == set(ROUTERS) == set(FITTERS)
    for name, router in ROUTERS.items():
        assert router.kind == name and router.__module__.endswith(f".{name}")
        assert FITTERS[name].__module__ == router.__module__


def test_every_router_says_what_it_is_not_good_at():
    assert all(len(router.weakness) > 20 for router in ROUTERS.values())
