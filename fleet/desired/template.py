"""People's strings and files, rendered: strict and typed. Text and a way to look names up in, values out.

A mistake in a template is a `TemplateFailure` with its line, whatever Python thought of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from jinja2 import TemplateError, meta
from jinja2.environment import Template
from jinja2.exceptions import TemplateSyntaxError, UndefinedError
from jinja2.runtime import Undefined

from fleet.desired.bounds import TemplateFailure, made, weigh
from fleet.desired.check import near
from fleet.desired.jinja import Names, Passing, ScopedContext, environment

_UNDEFINED = re.compile(r"`([^`]+)` is not defined")


class Engine:
    """Compiles each text once. Holds nothing of any host."""

    def __init__(self) -> None:
        self._env = environment()
        self._compiled: dict[tuple[str, str], Template] = {}

    def value(self, text: str, names: Names) -> Any:
        """A string of the configuration: a whole `{{ expression }}` keeps its type. Raises TemplateFailure."""
        return self._render("value", text, names)

    def file(self, text: str, names: Names) -> str:
        """A template file. Raises TemplateFailure, FactsNeeded."""
        return str(self._render("file", text, names))

    def reads(self, text: str) -> frozenset[str]:
        """Names that a text refers to. Empty when it cannot be parsed."""
        try:
            return frozenset(meta.find_undeclared_variables(self._env.parse(text)))
        except TemplateError:
            return frozenset()

    def _render(self, name: str, text: str, names: Names) -> Any:
        template: Template | None = None
        try:
            template = self._template(name, text)
            context = ScopedContext(self._env, {}, name, template.blocks)
            context.scope = names
            printed = "".join(template.root_render_func(context))
            return plain(context.vars["whole"]) if "whole" in context.vars and name == "value" else printed
        except Passing:
            raise
        except TemplateFailure as failure:
            failure.line = max(failure.line, _line(failure, template, name))
            raise
        except TemplateSyntaxError as error:
            raise TemplateFailure(str(error.message).rstrip("."), error.lineno, expected="a Jinja2 template") from error
        except UndefinedError as error:
            found = _UNDEFINED.match(str(error.message))
            hint = near(found[1], names.names()) if found else ""
            raise TemplateFailure(str(error.message), _line(error, template, name), hint) from error
        except (Exception, RecursionError) as error:
            # A template is somebody's program: whatever it makes Python raise is a mistake of that program.
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise TemplateFailure(f"the template cannot be rendered: {said}", _line(error, template, name)) from error

    def _template(self, name: str, text: str) -> Template:
        found: Template | None = self._compiled.get((name, text))
        if found is None:
            if len(self._compiled) > 20_000:
                self._compiled.clear()
            code = self._env.compile(text, name=name, filename=f"<{name}>")
            made: Template = Template.from_code(self._env, code, {})
            found = self._compiled[name, text] = made
        return found


def _line(error: BaseException, template: Template | None, name: str) -> int:
    """The template's line that was being rendered."""
    trace, line = error.__traceback__, 1
    while trace is not None and template is not None:
        if trace.tb_frame.f_code.co_filename == f"<{name}>":
            line = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line


def plain(value: Any) -> Any:
    """Plain values only, of bounded size. Raises TemplateFailure, or UndefinedError for what is not there."""
    if isinstance(value, Undefined):
        str(value)
    if isinstance(value, Iterator):
        value = made(value)
    weigh(value)
    return _plain(value)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set) or type(value).__name__ in ("dict_keys", "dict_values", "dict_items"):
        return [_plain(inner) for inner in (sorted(value, key=repr) if isinstance(value, set) else value)]
    raise TypeError("this is not a value; name one of its fields")
