from router_models.verdict import at_least, at_most, figure, verdict


def test_a_figure_at_its_goal_holds_and_one_beyond_it_does_not():
    assert at_least(1, "APGR", 0.655, 0.655, 0.69).holds and not at_least(1, "APGR", 0.6549, 0.655, 0.69).holds
    assert at_most(7, "ECE", 0.015, 0.015, None, 4).holds and not at_most(7, "ECE", 0.0151, 0.015, None, 4).holds


def test_the_verdict_tells_must_from_aim_from_report():
    assert verdict(at_least(1, "APGR", 0.7, 0.655, 0.69)) == "holds, and the aim"
    assert verdict(at_least(1, "APGR", 0.66, 0.655, 0.69)) == "holds"
    assert verdict(at_most(4, "flags", 0.1, 0.05, 0.02)) == "MISSED"
    assert verdict(figure(13, "ensemble", "0.67")) == "reported"
    assert at_most(7, "ECE", 0.01, 0.015, None, 4).aim == "-" and at_most(7, "ECE", 0.01, 0.015, None, 4).measured == "0.0100"
