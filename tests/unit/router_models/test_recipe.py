from pathlib import Path

import pytest

from router_models.recipe import RecipeError, read_recipe
from router_models.routers.registry import FITTERS

RECIPES = sorted((Path(__file__).parents[3] / "config" / "routers").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_recipe_of_the_project_reads_and_names_a_known_router(path: Path):
    recipe = read_recipe(path)
    assert recipe.kind in FITTERS
    assert set(recipe.licences.values()) <= {"MIT", "Apache-2.0"}


def test_the_default_recipe_holds_out_the_fold_of_the_load_scenarios():
    assert read_recipe(next(p for p in RECIPES if p.stem == "default")).hold_out_fold == 0


@pytest.mark.parametrize(
    ("text", "says"), [("kind: linear\nbuckets: 3\n", "unknown keys"), ("options: {}\n", "kind"), ("[1]\n", "kind"), ("a: [\n", "line")]
)
def test_a_bad_recipe_is_refused_with_the_reason(tmp_path: Path, text: str, says: str):
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(RecipeError, match=says):
        read_recipe(tmp_path / "r.yaml")
    with pytest.raises(RecipeError, match=r"none\.yaml"):
        read_recipe(tmp_path / "none.yaml")
