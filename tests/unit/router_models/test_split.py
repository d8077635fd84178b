import hashlib

import pytest

from router_models.split import fold, question, stem

MMLU = "Let p = (1, 2, 5, 4)(2, 3) in S_5 . Find the index of <p> in S_5.\nA. 8\nB. 2\nC. 24\nD. 120\nAnswer:"


def test_the_stem_is_the_text_before_the_options_in_lower_case_with_single_spaces():
    assert stem(MMLU) == "let p 1 2 5 4 2 3 in s 5 find the index of p in s 5"


def test_the_fold_is_the_sha256_of_the_stem_mod_5():
    assert fold(MMLU) == int(hashlib.sha256(stem(MMLU).encode()).hexdigest(), 16) % 5


def test_other_options_of_the_same_question_share_stem_and_fold():
    other = MMLU.replace("A. 8", "A. 9").replace("Let p", "LET  P")
    assert stem(other) == stem(MMLU) and fold(other) == fold(MMLU)


def test_few_shot_prompts_keep_their_own_question_because_the_last_option_block_counts():
    shots = "First?\nA) x\nB) y\nAnswer:\nA\n\n"
    assert stem(shots + "Second?\nA) x\nB) y\nAnswer:") != stem(shots + "Third?\nA) x\nB) y\nAnswer:")


@pytest.mark.parametrize("text", ["", "no options here", "A. starts with a letter", "\ud800\0"])
def test_a_prompt_without_options_is_its_own_question(text: str):
    assert question(text) == text
    assert 0 <= fold(text) < 5
