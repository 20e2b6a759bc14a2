"""Runs the examples that stand in a Python file, and in the text of a request, and says which give something else.

Arguments: FILE [TEXT]. Exit status: 0 all hold, 1 some do not, 2 there are none or the file cannot be run.

With --weigh JSON it says how many asserted calls hold in each of several versions of a file that is nowhere written:
{"path", "function", "tests": the text with the assert lines, "lines": those of the file, "versions": a list of
[first, last, lines], each with other lines in place of some of the file's}.
"""

import ast
import builtins
import doctest
import importlib.util
import inspect
import json
import math
import os
import re
import resource
import select
import signal
import sys
import time
import types
import typing

SECONDS = 3
# For one asserted call, all those of a version, and all versions; and the memory of a version.
CALL, VERSION, VERSIONS = 1.0, 4.0, 30.0
MEMORY = 2 << 30
ARROW = re.compile(
    r"\s*(?:=+>|-+>|➞|→|⇒|➜|={1,3}|#\s*(?:=+>)?|,?\s*(?:should |must |will )?(?:returns?|gives?|yields?|equals?|be)\b:?)\s*"
)
BOX = re.compile(r"\binputs?:\s{0,99}(.{1,500}?)\boutputs?:[ \t]*\n?([^\n]+)", re.IGNORECASE | re.DOTALL)
LONGEST_VALUE = 500
REMARK = re.compile(r"[.,;]?(\s*[(#].*)?")


def load(path):
    spec = importlib.util.spec_from_file_location("examined", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["examined"] = module
    spec.loader.exec_module(module)
    return vars(module)


def prose(source):
    """The strings that stand by themselves, docstrings among them, and the comments."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
    yield "\n".join(line.lstrip("# ") for line in source.splitlines() if line.lstrip().startswith("#"))


def documented(source):
    """The functions that give something for plain values, with their docstrings."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and is_plain(node):
            yield node.name, ast.get_docstring(node) or ""


def is_plain(function):
    gives = function.returns
    if isinstance(gives, ast.Constant) and gives.value is None:
        return False
    notes = [node.annotation for node in ast.walk(function.args) if isinstance(node, ast.arg) and node.annotation]
    words = [node for note in notes for node in ast.walk(note) if isinstance(node, ast.Name)]
    return all(hasattr(builtins, word.id) or word.id in typing.__all__ for word in words)


def beginning(text):
    """The value that the text begins with and where it ends, as a list of none or one pair."""
    for end in range(len(text), 0, -1):
        try:
            return [(ast.literal_eval(text[:end].strip().rstrip(".,;")), end)]
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
    return []


def literal(text):
    """The value that the text begins with, as a list of none or one."""
    return [value for value, _ in beginning(text)]


def call(line, start):
    """The call that begins at `start`, and what stands behind it."""
    for end in (match.end() for match in re.finditer(r"\)", line[start:])):
        try:
            if isinstance(ast.parse(line[start : start + end], mode="eval").body, ast.Call):
                return line[start : start + end], line[start + end :]
        except (SyntaxError, ValueError):
            continue
    return None, ""


def written(text, names):
    """Examples like `f(2) => 3`, as pairs of expression and value."""
    if not names:
        return
    begin = re.compile(r"(?<![\w.])(?:" + "|".join(map(re.escape, names)) + r")\(")
    for line in text.splitlines():
        if line.lstrip().startswith(">>>"):
            continue
        for match in begin.finditer(line):
            expression, rest = call(line, match.start())
            arrow = expression and ARROW.match(rest.lstrip("`"))
            value = literal(rest.lstrip("`")[arrow.end() :].lstrip("`")) if arrow else []
            if value:
                yield expression, value[0]


def stated(text):
    """The value that a line states, perhaps with a remark behind it, as a list of none or one."""
    text = text.strip("` ")[:LONGEST_VALUE]
    # `1, 2, 3`, `1/2` and `10:30` are in a form of the text's own.
    listed = lambda value: isinstance(value, tuple) and not text.startswith("(")
    return [value for value, end in beginning(text) if not listed(value) and REMARK.fullmatch(text[end:])]


def boxed(text, name, function):
    """Examples like `Input: n = 2` above `Output: 3`, of the function `name`."""
    for given, gives in BOX.findall(text):
        expression, value = name + "(" + given.strip().strip("`") + ")", stated(gives)
        called = parsed(expression) if value else None
        if isinstance(called, ast.Call) and takes(function, called):
            yield expression, value[0]


def takes(function, called):
    """Whether a function can be called so, with values that are written out."""
    try:
        arguments = [ast.literal_eval(argument) for argument in called.args]
        named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in called.keywords if keyword.arg}
        inspect.signature(function).bind(*arguments, **named)
    except (ValueError, SyntaxError, TypeError):
        return False
    return len(named) == len(called.keywords)


def prompted(text):
    """Examples behind `>>>`, as pairs of expression and value."""
    try:
        examples = doctest.DocTestParser().get_examples(text)
    except ValueError:
        return
    for example in examples:
        source, want = example.source.strip(), example.want.strip()
        if not want and isinstance(parsed(source), ast.Compare):
            yield source, True
        elif want and not example.exc_msg:
            value = literal(want)
            if value and parsed(source) is not None:
                yield source, value[0]


def parsed(source):
    try:
        return ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError):
        return None


def is_known(expression, names):
    used = {node.id for node in ast.walk(ast.parse(expression)) if isinstance(node, ast.Name)}
    bound = {node.id for node in ast.walk(ast.parse(expression)) if isinstance(getattr(node, "ctx", None), ast.Store)}
    return all(name in names or name in bound or hasattr(builtins, name) for name in used)


def same(found, wanted):
    if isinstance(found, float) and isinstance(wanted, (int, float)):
        return math.isclose(found, wanted, rel_tol=1e-6, abs_tol=1e-9)
    if hasattr(found, "__next__"):
        found = list(found)
    return found == wanted or (isinstance(found, tuple) and list(found) == wanted)


def complaint(expression, wanted, names):
    def late(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        found = eval(expression, dict(names))
        held = same(found, wanted)
    except TimeoutError:
        return f"{expression} did not end within {SECONDS} seconds, and should give {wanted!r}"
    except Exception as error:
        return f"{expression} raised {type(error).__name__}: {error}, and should give {wanted!r}"
    finally:
        signal.alarm(0)
    return None if held else f"{expression} gave {found!r:.200}, and should give {wanted!r}"


def asserted(text, function):
    """The calls of a function in lines like `assert f(2) == 3`, with the source of what each gives."""
    found = {}
    for line in text.splitlines():
        try:
            [statement] = ast.parse(line.strip()).body
            test = statement.test if isinstance(statement, ast.Assert) else None
            gives = ast.Constant(True)
            if isinstance(test, ast.Compare) and isinstance(test.ops[0], (ast.Eq, ast.Is)) and len(test.ops) == 1:
                test, gives = test.left, test.comparators[0]
            elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
                test, gives = test.operand, ast.Constant(False)
            calls = [node.func for node in ast.walk(test) if isinstance(node, ast.Call)] if test else []
            if any(isinstance(called, ast.Name) and called.id == function for called in calls):
                found.setdefault(ast.unparse(test), ast.unparse(gives))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return list(found.items())


def weigh(given):
    tests = asserted(given["tests"], given["function"])
    counts, end = [], time.monotonic() + VERSIONS
    for first, last, lines in given["versions"]:
        source = "\n".join([*given["lines"][:first], *lines, *given["lines"][last:]])
        counts.append(holding(given["path"], source, tests) if time.monotonic() < end else -1)
    print("weighed:", *counts, "of", len(tests))


def holding(path, source, tests):
    """How many asserted calls hold in a version, or -1 where it cannot be run. It may do anything, in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setpgid(0, 0)
            os.close(reader)
            nothing = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(nothing, stream)
            hold(path, source, tests, writer)
        finally:
            os._exit(0)
    os.close(writer)
    results, end = b"", time.monotonic() + VERSION
    # What it started may hold the other end open for longer.
    while select.select([reader], [], [], max(0, end - time.monotonic()))[0]:
        piece = os.read(reader, 4096)
        if not piece:
            break
        results += piece
    os.close(reader)
    for end_it in (os.killpg, os.kill):
        try:
            end_it(child, signal.SIGKILL)
        except OSError:
            continue
    os.waitpid(child, 0)
    return len(results) - 1


def hold(path, source, tests, writer):
    """Writes a byte once the version is loaded, and another for each asserted call that holds."""

    def late(*_):
        raise TimeoutError

    try:
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most), most))
    except (ValueError, OSError):
        # The memory of all of a command is bounded elsewhere, if at all.
        pass
    sys.dont_write_bytecode = True
    sys.path.insert(0, os.path.dirname(path) or ".")
    module = types.ModuleType("examined")
    module.__file__ = path
    sys.modules["examined"] = module
    exec(compile(source, path, "exec"), vars(module))
    os.write(writer, b"+")
    signal.signal(signal.SIGVTALRM, late)
    loops = 0
    for expression, gives in tests:
        names = dict(vars(module))
        signal.setitimer(signal.ITIMER_VIRTUAL, CALL)
        try:
            if same(eval(expression, names), eval(gives, names)):
                os.write(writer, b".")
        except TimeoutError:
            loops += 1
        except Exception:
            continue
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        if loops > 1:
            return


def main():
    if sys.argv[1] == "--weigh":
        return weigh(json.loads(sys.argv[2]))
    path, *request = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        source = file.read()
    try:
        texts = [*prose(source), *request]
        names = load(path)
    except BaseException as error:
        print(f"{path} cannot be run: {type(error).__name__}: {error}")
        return 2
    own = [name for name, value in names.items() if getattr(value, "__module__", None) == "examined"]
    pairs = {}
    found = [pair for text in texts for pair in [*prompted(text), *written(text, own)]]
    functions = [(name, text, names[name]) for name, text in documented(source) if callable(names.get(name))]
    found += [pair for name, text, function in functions for pair in boxed(text, name, function)]
    if len(functions) == 1:
        [(name, _, function)] = functions
        found += [pair for text in request for pair in boxed(text, name, function)]
    for expression, wanted in found:
        if is_known(expression, names):
            pairs.setdefault(expression, wanted)
    if not pairs:
        return 2
    complaints = [c for c in (complaint(e, w, names) for e, w in pairs.items()) if c]
    print("\n".join([*complaints, f"{len(pairs) - len(complaints)} of {len(pairs)} examples hold"]))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
