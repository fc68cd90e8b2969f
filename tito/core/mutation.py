"""Small wrong turns of a solution, made by rule: another operator or axis, a dropped statement. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from tito.core.lesson import Cell, solution_lines

OPERATORS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.Pow: ("**", "*"),
    ast.FloorDiv: ("//", "/"), ast.Mod: ("%", "//"), ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&"),
    ast.LShift: ("<<", ">>"), ast.RShift: (">>", "<<"),
}
COMPARISONS: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<=", ">="), ast.LtE: ("<", ">"), ast.Gt: (">=", "<="), ast.GtE: (">", "<"), ast.Eq: ("!=",),
    ast.NotEq: ("==",), ast.Is: ("is not",), ast.IsNot: ("is",), ast.In: ("not in",), ast.NotIn: ("in",),
}
AXES = ("axis", "dim", "axes")
ORDERLESS = ("max", "min", "maximum", "minimum", "add", "mul", "gcd", "lcm")      # f(a, b) is f(b, a)


class Edit(NamedTuple):
    """One change of a text."""

    kind: str                       # operator, comparison, constant, axis, condition, dropped, swapped
    start: int                      # characters of the text that give way …
    stop: int
    new: str                        # … to these


class Mutant(NamedTuple):
    cell: Cell                      # the solved cell with the change in it
    kind: str
    line: int                       # of the cell's source, from 1
    before: str                     # that line, as the course has it
    after: str

    def __str__(self) -> str: return f"`{self.before}` -> `{self.after}`"


def mutants(cell: Cell) -> list[Mutant]:
    """Every mutant of an exercise, in the order of its text; those that Python reads, and differently."""
    found, seen = list[Mutant](), {compiled(cell.source)}
    for edit in sorted(set(edits(cell)), key=lambda e: (e.start, e.stop, e.kind, e.new)):
        source = cell.source[:edit.start] + edit.new + cell.source[edit.stop:]
        try:
            code = compiled(source)
        except SyntaxError:
            continue
        if code not in seen:
            seen.add(code)
            number = cell.source.count("\n", 0, edit.start)
            lines, news = cell.source.split("\n"), source.split("\n")
            after = " ".join(x.strip() for x in news[number:number + 1 + edit.new.count("\n")])
            changed = replace(cell, source=source)
            found.append(Mutant(changed, edit.kind, number + 1, lines[number].strip(), after))
    return found


def compiled(source: str) -> str:
    """What tells two programs apart: their statements, wherever they stand."""
    return ast.dump(ast.parse(source))


def edits(cell: Cell) -> Iterator[Edit]:
    wanted, text = solution_lines(cell), Text(cell.source)
    for node in reading(ast.parse(cell.source)):
        if isinstance(node, ast.stmt | ast.expr) and node.lineno in wanted:
            yield from changes(node, text)


def reading(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that decides what a program does: no annotations, no docstrings, no words of an error."""
    yield node
    parts: list[ast.AST]
    match node:
        case ast.Raise() | ast.Assert() | ast.JoinedStr(): return
        case ast.AnnAssign(): parts = [node.target, node.value] if node.value else [node.target]
        case ast.FunctionDef() | ast.AsyncFunctionDef(): parts = [node.args, *node.body]
        case ast.arg(): parts = []
        case ast.Expr(value=ast.Constant()): parts = []
        case _: parts = list(ast.iter_child_nodes(node))
    for part in parts: yield from reading(part)


class Text:
    """A program's text, in which nodes say where they stand."""

    def __init__(self, text: str):
        self.text = text
        self.lines = text.split("\n")
        self.starts = [0]
        for line in self.lines: self.starts.append(self.starts[-1] + len(line) + 1)

    def at(self, line: int, column: int) -> int:
        """ast counts bytes."""
        return self.starts[line - 1] + len(self.lines[line - 1].encode()[:column].decode())

    def span(self, node: ast.stmt | ast.expr | ast.keyword) -> tuple[int, int]:
        return (self.at(node.lineno, node.col_offset),
                self.at(node.end_lineno or node.lineno, node.end_col_offset or 0))

    def of(self, node: ast.expr) -> str:
        start, stop = self.span(node)
        return self.text[start:stop]


def changes(node: ast.AST, text: Text) -> Iterator[Edit]:
    match node:
        case ast.BinOp(op=ast.MatMult()):
            yield exchanged(node.left, node.right, text)
        case ast.BinOp() if type(node.op) in OPERATORS and not (says(node.left) or says(node.right)):
            old, new = OPERATORS[type(node.op)]
            yield between(node.left, node.right, old, new, "operator", text)
        case ast.AugAssign() if type(node.op) in OPERATORS and not says(node.value):
            old, new = OPERATORS[type(node.op)]
            yield between(node.target, node.value, f"{old}=", f"{new}=", "operator", text)
        case ast.Compare(ops=[op]):
            left, right = text.span(node.left)[1], text.span(node.comparators[0])[0]
            for new in COMPARISONS[type(op)]: yield Edit("comparison", left, right, f" {new} ")
        case ast.BoolOp():
            word, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            yield between(node.values[0], node.values[1], word, other, "condition", text)
        case ast.UnaryOp(op=ast.Not()):
            yield Edit("condition", *text.span(node), f"({text.of(node.operand)})")
        case ast.UnaryOp(op=ast.USub()) if not isinstance(node.operand, ast.Constant):
            yield Edit("operator", *text.span(node), f"({text.of(node.operand)})")
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            yield Edit("constant", *text.span(node), repr(value))
        case ast.Constant(value=bool() as value):
            yield Edit("constant", *text.span(node), repr(not value))
        case ast.Constant(value=int() as value):
            yield Edit("constant", *text.span(node), repr(value + 1))
        case ast.Constant(value=float() as value):
            yield Edit("constant", *text.span(node), repr(value * 2 if value else 1.0))
        case ast.Call():
            yield from of_call(node, text)
        case ast.Subscript(slice=ast.Tuple(elts=[first, second, *_])):
            yield exchanged(first, second, text)
    plain = ast.Name | ast.Attribute | ast.Call
    if isinstance(node, ast.If | ast.While | ast.IfExp) and isinstance(node.test, plain):
        yield Edit("condition", *text.span(node.test), f"(not {text.of(node.test)})")
    if isinstance(node, ast.stmt) and droppable(node):
        yield Edit("dropped", *text.span(node), "pass")


def of_call(node: ast.Call, text: Text) -> Iterator[Edit]:
    """Arguments in another order, on another axis, or left out."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if len(node.args) > 1 and name not in ORDERLESS:
        yield exchanged(node.args[0], node.args[1], text)
    for keyword in node.keywords:
        if keyword.arg is None: continue
        start, stop = text.span(keyword)
        alone = len(node.args) + len(node.keywords) == 1
        before = text.text.rfind(",", 0, start)
        yield Edit("dropped", start if alone else before, stop, "")
        if keyword.arg in AXES:
            yield Edit("axis", *text.span(keyword.value), "0" if text.of(keyword.value) != "0" else "1")


def says(node: ast.expr) -> bool:
    """Whether it is words: texts are added without harm."""
    if isinstance(node, ast.Constant): return isinstance(node.value, str | bytes)
    return isinstance(node, ast.JoinedStr)


def droppable(node: ast.stmt) -> bool:
    """Statements without which a program still runs; to miss a name would be no riddle."""
    match node:
        case ast.AugAssign() | ast.Raise() | ast.Break() | ast.Continue(): return True
        case ast.Expr(value=ast.Call() | ast.Await() | ast.Yield() | ast.YieldFrom()): return True
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]): return True
    return False


def between(left: ast.expr, right: ast.expr, old: str, new: str, kind: str, text: Text) -> Edit:
    """The operator that stands between two operands, and brackets perhaps."""
    start = text.text.index(old, text.span(left)[1], text.span(right)[0])
    return Edit(kind, start, start + len(old), new)


def exchanged(first: ast.expr, second: ast.expr, text: Text) -> Edit:
    start, stop = text.span(first)[0], text.span(second)[1]
    middle = text.text[text.span(first)[1]:text.span(second)[0]]
    return Edit("swapped", start, stop, f"{text.of(second)}{middle}{text.of(first)}")
