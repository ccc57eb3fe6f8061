"""What `make mutate` breaks is there to be broken."""

from collections import Counter

from proof.explained import EXPLAINED
from proof.mutants import FUNCTIONS, mutants
from proof.mutate import ROOT, TARGETS, every


def test_each_explanation_is_of_one_mutant():
    """A guard that was rewritten takes its excuse with it."""
    names = Counter(trial.mutant.name for trial in every())

    assert {name: names[name] for name in EXPLAINED} == dict.fromkeys(EXPLAINED, 1)


def test_each_target_has_mutants_and_tests():
    """A file that moved would be passed over in silence."""
    for target, tests in TARGETS.items():
        file, _, where = target.partition(" ")
        assert any(m.where.startswith(where) for m in mutants(file)), target
        assert all((ROOT / test.partition("::")[0]).exists() for test in tests)


def test_a_mutant_is_another_program():
    """Each change changes what the file means, and its lines stay where they are."""
    file = "backstop/domain/steps.py"
    plain = compile((FUNCTIONS / file).read_text(), str(FUNCTIONS / file), "exec")

    for mutant in mutants(file):
        code = mutant.code()
        assert code != plain, mutant
        assert code.co_filename == plain.co_filename
