import numpy as np
import pytest

from router_models.evaluate import GROUP_PARTS, compare, group_table, table_text
from router_models.split import stem_key
from router_models.table import ScoreTable


def test_random_length_and_oracle_always_stand_beside_the_router(table: ScoreTable):
    truth = (table.scores[:, 0] - table.scores[:, 1]) * 0.5
    lines = {line.name: line for line in compare({"mine": truth}, table)}
    assert list(lines) == ["mine", "length", "random", "oracle"]
    assert lines["mine"].apgr == pytest.approx(lines["oracle"].apgr)
    assert lines["length"].over_length == (0.0, 0.0, 0.0)
    assert lines["random"].apgr_interval[0] < 0.5 < lines["random"].apgr_interval[1]
    assert lines["mine"].over_length[1] > 0.1


def test_whole_groups_can_be_drawn(table: ScoreTable):
    plain, clustered = ({line.name: line for line in compare({}, table, clustered=c)} for c in (False, True))
    assert plain["oracle"].apgr == clustered["oracle"].apgr
    assert plain["oracle"].apgr_interval != clustered["oracle"].apgr_interval


def test_the_text_table_has_a_line_per_router(table: ScoreTable):
    text = table_text(compare({}, table))
    assert [line.split()[0] for line in text.splitlines()] == ["router", "length", "random", "oracle"]


def test_the_group_table_knows_groups_by_the_rows_of_other_parts_alone(table: ScoreTable):
    groups = np.array(table.groups)
    found = group_table(table)
    gap = table.scores[:, 0] - table.scores[:, 1]
    assert found[groups == "hard"].min() > found[groups == "easy"].max()
    parts = np.array([stem_key(prompt) % GROUP_PARTS for prompt in table.prompts])
    changed = ScoreTable(table.models, table.prompts, table.groups, table.scores.copy())
    changed.scores[parts == 1] = (0.0, 1.0)
    assert group_table(changed)[parts == 1].tolist() == found[parts == 1].tolist() and not np.array_equal(group_table(changed), found)
    lone = ScoreTable(table.models, table.prompts, [str(i) for i in range(len(table))], table.scores)
    assert group_table(lone)[parts == 0] == pytest.approx(gap[parts != 0].mean())
