"""Runs the examples that stand in a Python file, and in the text of a request, and says which give something else.

Arguments: FILE [TEXT]. Exit status: 0 all hold, 1 some do not, 2 there are none or the file cannot be run.
"""

import ast
import builtins
import doctest
import importlib.util
import math
import re
import signal
import sys

SECONDS = 3
ARROW = re.compile(
    r"\s*(?:=+>|-+>|➞|→|⇒|➜|={1,3}|#\s*(?:=+>)?|,?\s*(?:should |must |will )?(?:returns?|gives?|yields?|equals?|be)\b:?)\s*"
)

BOX = re.compile(r"\binputs?\s*:\s*(.+?)\s*\boutputs?\s*:\s*([^\n]+)", re.IGNORECASE | re.DOTALL)
LONGEST_BOX = 500


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
    """The functions that are no methods, with their docstrings."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, ast.get_docstring(node) or ""


def literal(text):
    """The value that the text begins with, as a list of none or one."""
    for end in range(len(text), 0, -1):
        try:
            return [ast.literal_eval(text[:end].strip().rstrip(".,;"))]
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
    return []


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


def boxed(text, name):
    """Examples like `Input: n = 2` above `Output: 3`, of the function `name`."""
    for given, gives in BOX.findall(text):
        expression, value = f"{name}({given.strip('` ')})", literal(gives.lstrip("`"))
        if len(given) <= LONGEST_BOX and value and isinstance(parsed(expression), ast.Call):
            yield expression, value[0]


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


def main():
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
    functions = dict(documented(source))
    found += [pair for name, text in functions.items() for pair in boxed(text, name)]
    if len(functions) == 1:
        found += [pair for text in request for pair in boxed(text, *functions)]
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
