"""Jinja2 with everything taken out that is not listed here, and a bound on all that is left.

Nothing else can be called or reached: no attribute of a Python object, no loop, string or number without a bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Protocol

from jinja2 import StrictUndefined, nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import missing, pass_context
from jinja2.visitor import NodeTransformer

from fleet.desired.bounds import BITS, SIZE, STEPS, TemplateFailure, made, spelt, untouched, weigh
from fleet.desired.check import near
from fleet.desired.filters import filters, guarded, tests
from fleet.model import sealed

_MARK = re.compile(r"\{[{%#]")
_LOOP = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem"})
_METHODS: dict[type, frozenset[str]] = {
    str: frozenset({"upper", "lower", "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "startswith",
                    "endswith", "removeprefix", "removesuffix", "isdigit", "title", "capitalize"}),
    dict: frozenset({"items", "keys", "values", "get"}),
}  # fmt: skip
_REFUSED = (nodes.Macro, nodes.CallBlock, nodes.Import, nodes.FromImport, nodes.Include, nodes.Extends, nodes.Block)


class Passing(Exception):
    """What a name's lookup raises and a template must not turn into a mistake of its own."""


class FactsNeeded(Passing):
    """`facts` was read and the host has not been asked yet."""


class Names(Protocol):
    """Where names are looked up. `value` raises KeyError for one that is not there."""

    def value(self, name: str) -> Any: ...

    def names(self) -> Iterable[str]: ...


class Fields:
    """An object of ours in templates (`host`, `env`): these fields, looked up one by one, and nothing else."""

    __slots__ = ("_read", "fields")

    def __init__(self, fields: tuple[str, ...], read: Callable[[str], Any]) -> None:
        self.fields, self._read = fields, read

    def read(self, field: str) -> Any:
        return self._read(field)


class Function:
    """A function of ours: all that can be called."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call


def has_template(text: str) -> bool:
    """Whether a string has anything to render."""
    return "{" in text and _MARK.search(text) is not None


class _Missing(StrictUndefined):
    @property
    def _undefined_message(self) -> str:
        name = str(self._undefined_name)
        if self._undefined_obj is missing:
            return f"`{name}` is not defined"
        known: Iterable[str] = ()
        if isinstance(self._undefined_obj, dict):
            known = map(str, self._undefined_obj)
        elif isinstance(self._undefined_obj, Fields):
            known = self._undefined_obj.fields
        hint = near(name, known)
        return f"there is no `{name}` in it" + (f"; {hint}" if hint else "")


class ScopedContext(Context):
    """Names come from the scope one by one, so that what a template reads is known exactly."""

    scope: Names
    steps = STEPS
    size = SIZE

    def resolve_or_missing(self, key: str) -> Any:
        if key in self.vars:
            return self.vars[key]
        try:
            return self.scope.value(key)
        except KeyError:
            return self.environment.globals.get(key, missing)


class _Bounded(NodeTransformer):
    """Loops count their turns, joined strings and literals are weighed, and the statements we have no use for go."""

    def generic_visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> nodes.Node:
        if isinstance(node, _REFUSED):
            name = {"CallBlock": "call", "FromImport": "from"}.get(type(node).__name__, type(node).__name__.lower())
            raise TemplateSyntaxError(f"`{{% {name} %}}` is not available here", node.lineno)
        super().generic_visit(node, *args, **kwargs)
        if isinstance(node, nodes.Const) and sealed.holds(getattr(node, "value", None)):
            raise TemplateSyntaxError("U+FDD0 and U+FDD1 are not available here", node.lineno)
        if isinstance(node, nodes.Compare):
            node.expr = _filter(node.expr, "_whole")
            for operand in node.ops:
                operand.expr = _filter(operand.expr, "_whole")
        elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
            node.node = _filter(node.node, "_whole")  # Jinja cuts by itself, without asking the environment
        elif isinstance(node, nodes.For):
            if node.recursive:
                raise TemplateSyntaxError("recursive loops are not available here", node.lineno)
            node.iter = _filter(node.iter, "_turns")
        elif isinstance(node, nodes.Concat):
            return _filter(nodes.List(node.nodes, lineno=node.lineno), "_concat")
        elif isinstance(node, nodes.List | nodes.Dict) or (isinstance(node, nodes.Tuple) and node.ctx == "load"):
            return _filter(node, "_weighed")
        return node


def _filter(node: Any, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


class _Environment(SandboxedEnvironment):
    """Reaching and calling, both by list of what is allowed."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})
    context_class = ScopedContext

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Fields):
            if argument in obj.fields:
                with suppress(KeyError):
                    return obj.read(argument)
            return self.undefined(obj=obj, name=argument)
        if isinstance(obj, dict | list | tuple | str):
            untouched(obj)
            try:
                return obj[argument]
            except (LookupError, TypeError):
                if argument in _METHODS.get(type(obj), ()):
                    return Function(guarded(getattr(obj, argument)))
        elif isinstance(obj, LoopContext) and argument in _LOOP:
            return getattr(obj, argument)
        elif isinstance(obj, Undefined):
            return obj[argument]
        return self.undefined(obj=obj, name=argument)

    def call(self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(__obj, Undefined):
            return __obj()
        if not isinstance(__obj, Function):
            raise TemplateFailure("only the functions of fleet can be called", expected="hosts(...), range(...)")
        kwargs.pop("_loop_vars", None), kwargs.pop("_block_vars", None)
        weigh([args, kwargs])
        return __obj.call(*args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator != "+":
            untouched(left, right)
        if operator == "%" and not isinstance(left, int | float):
            raise TypeError("`%` is for numbers; join text with `~`")
        if operator == "*":
            _product(left, right)
        elif operator == "**":
            if not isinstance(right, int) or abs(right) * max(_bits(left), 1) > BITS:
                raise TemplateFailure("a number in this template grows too long", expected=f"at most {BITS} bits")
        elif operator == "+":
            weigh([left, right])
        return self.binop_table[operator](left, right)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = _Bounded().visit(super()._parse(source, name, filename))
        body = tree.body
        # One whole expression keeps its type: it is assigned instead of printed.
        if name == "value" and len(body) == 1 and isinstance(body[0], nodes.Output) and len(body[0].nodes) == 1:
            inner = body[0].nodes[0]
            if not isinstance(inner, nodes.TemplateData):
                body[0] = nodes.Assign(nodes.Name("whole", "store", lineno=1), inner, lineno=inner.lineno)
        return tree


def _bits(value: Any) -> int:
    return value.bit_length() if isinstance(value, int) else 64


def _product(left: Any, right: Any) -> None:
    for one, many in ((left, right), (right, left)):
        if isinstance(one, str | list | tuple) and isinstance(many, int):
            if (SIZE - weigh(one) + 1) * max(many, 0) > SIZE:
                raise TemplateFailure("a value in this template grows too big", expected=f"at most {SIZE:,} characters")
            return
    if _bits(left) + _bits(right) > BITS:
        raise TemplateFailure("a number in this template grows too long", expected=f"at most {BITS} bits")


@pass_context
def _turns(context: ScopedContext, values: Any) -> Any:
    if isinstance(values, Undefined):
        return values
    untouched(values)
    found = made(values) if isinstance(values, Iterator) else values
    context.steps -= len(found)
    if context.steps < 0:
        raise TemplateFailure("the loops of this template run too long", expected=f"at most {STEPS:,} turns")
    return found


@pass_context
def _printed(context: ScopedContext, value: Any) -> Any:
    if isinstance(value, Undefined):
        return value
    if isinstance(value, Fields | Function | LoopContext):
        raise TypeError("this is not a value; name one of its fields")
    context.size = weigh(value, context.size)
    spelt(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def _range(*bounds: int) -> list[int]:
    numbers = range(*bounds)
    if len(numbers) > STEPS:
        raise TemplateFailure("this range is too long", expected=f"at most {STEPS:,} numbers")
    return list(numbers)


def environment() -> SandboxedEnvironment:
    """A fresh one; templates named "value" keep the type of a whole expression in the variable `whole`."""
    env = _Environment(
        undefined=_Missing,
        optimized=False,  # constants too are worked out where somebody counts
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_printed,
        cache_size=0,
    )
    env.filters = filters(env.filters)
    env.tests = tests(env.tests)
    env.filters["_turns"] = guarded(_turns, carries=True)
    env.globals = {"range": Function(_range)}
    return env
