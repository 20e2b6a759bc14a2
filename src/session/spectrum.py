"""Runs tests and says which lines of the folder's own code those that fail go through: `suspects: FILE LINE:SCORE ...`.

Arguments: pytest or unittest, and what that takes. The score is Ochiai's, from 0 to 1: Abreu et al., "On the accuracy of
spectrum-based fault localization", 2007.
"""

import math
import os
import signal
import sys
import unittest

# For one test.
SECONDS = 5.0
MOST = 200
# In one line of the report, which may be cut where it is long.
A_LINE = 20

ROOT = os.path.realpath(".") + os.sep
# The path in the folder by a code's file name; None for what is not to be traced.
paths = {}
ran = set()
# How many tests that fail, that pass, and that took too long run a line.
counts = {}
totals = [0, 0, 0]
FAILED, PASSED, LATE = range(3)
late = False


def path_of(name):
    if name not in paths:
        real = os.path.realpath(name)
        base = os.path.basename(real)
        is_test = base.startswith(("test_", "conftest.")) or base.endswith(("_test.py", "_tests.py", "tests.py", "test.py"))
        is_test = is_test or bool({"test", "tests"} & set(real[len(ROOT) :].split(os.sep)[:-1]))
        is_own = not name.startswith("<") and real.startswith(ROOT) and "site-packages" not in real and not is_test
        paths[name] = real[len(ROOT) :] if is_own else None
    return paths[name]


def on_line(frame, event, _):
    if event == "line":
        ran.add((frame.f_code.co_filename, frame.f_lineno))
    return on_line


def on_call(frame, _, __):
    return on_line if path_of(frame.f_code.co_filename) else None


def on_alarm(*_):
    global late
    late = True
    raise TimeoutError("the test takes too long")


def begin():
    global late
    late = False
    ran.clear()
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, on_alarm)
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
    sys.settrace(on_call)


def end():
    sys.settrace(None)
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)


def count(has_passed):
    # It may be slow because it is traced.
    kind = PASSED if has_passed else LATE if late else FAILED
    totals[kind] += 1
    for place in ran:
        counts.setdefault(place, [0, 0, 0])[kind] += 1


def with_pytest(arguments):
    import pytest

    class Tracing:
        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_call(self, item):
            begin()
            yield
            end()

        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_makereport(self, item, call):
            # Of a unittest's failure only the report knows.
            report = (yield).get_result()
            if report.when == "call" and not report.skipped:
                count(report.passed)

    pytest.main(arguments, plugins=[Tracing()])


def with_unittest(arguments):
    call = unittest.TestCase._callTestMethod

    def traced(case, method):
        begin()
        try:
            call(case, method)
        except unittest.SkipTest:
            end()
            raise
        except BaseException:
            end()
            count(False)
            raise
        end()
        # What fails in a `subTest` does not come through.
        count(getattr(case._outcome, "success", True))

    unittest.TestCase._callTestMethod = traced
    unittest.main(module=None, argv=["unittest", *arguments], exit=False)


def suspects():
    """Score, path and line, the likeliest first."""
    kind = FAILED if totals[FAILED] else LATE
    for (name, line), tests in counts.items():
        if tests[kind]:
            yield tests[kind] / math.sqrt(totals[kind] * (tests[kind] + tests[PASSED])), path_of(name), line


if __name__ == "__main__":
    # What the tests put out is known already.
    out = os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    sys.path.insert(0, "")
    runner, arguments = sys.argv[1], sys.argv[2:]
    try:
        (with_pytest if runner == "pytest" else with_unittest)(arguments)
    finally:
        sys.settrace(None)
        found = sorted(suspects(), key=lambda found: (-found[0], found[1:]))[:MOST]
        for path in dict.fromkeys(path for _, path, _ in found):
            lines = ["%d:%.3f" % (line, score) for score, other, line in found if other == path]
            for at in range(0, len(lines), A_LINE):
                print("suspects:", path, *lines[at : at + A_LINE], file=out, flush=True)
