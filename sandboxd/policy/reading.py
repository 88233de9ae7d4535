"""From the bytes of a policy file to a checked `PolicyFile`, or an error that names file, line and key."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from sandboxd.errors import Code, SandboxdError
from sandboxd.policy.rule_actions import refusal
from sandboxd.policy.schema import PolicyFile
from sandboxd.policy.strict_yaml import Document, Path, YamlProblemError, load

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Source:
    """A policy file that has the right form. `origin` is its path as errors name it."""

    origin: str
    document: Document
    file: PolicyFile

    @property
    def name(self) -> str:
        """The policy's name."""
        return self.file.metadata.name

    def problem(self, path: Path, message: str, remedy: str) -> SandboxdError:
        """Return a POLICY_INVALID that points into this file."""
        return invalid(self.origin, self.document.line_of(path), path, message, remedy)


def read_source(origin: str, content: bytes) -> Source:
    """Read one policy file.

    Raises:
        SandboxdError: POLICY_INVALID with file:line, key path and what is allowed.
    """
    try:
        document = load(content)
    except YamlProblemError as problem:
        raise invalid(origin, problem.line, problem.path, problem.message, problem.remedy) from None
    try:
        file = PolicyFile.model_validate(document.data)
    except ValidationError as error:
        raise _explain(origin, document, error) from None
    source = Source(origin, document, file)
    _refuse_contradictions(source)
    return source


def invalid(origin: str, line: int, path: Path, message: str, remedy: str) -> SandboxdError:
    """Build a POLICY_INVALID."""
    key = _dotted(path)
    place = f"{origin}:{line}: {key}: " if key else f"{origin}:{line}: "
    return SandboxdError(
        Code.POLICY_INVALID, place + message, remedy=remedy, file=origin, line=str(line), key=key
    )


def _refuse_contradictions(source: Source) -> None:
    screen = source.file.screen
    for section in ("imports", "builtins", "attributes"):
        rules: Any = getattr(screen, section, None)
        if rules is None:
            continue
        for name in sorted(set(rules.allow) & set(rules.deny)):
            path = ("screen", section, "deny", rules.deny.index(name))
            raise source.problem(path, f"{name!r} is both allowed and denied here", "Keep one of them.")
    for rule, action in screen.actions.items() if screen else ():
        refused = refusal(rule, action)
        if refused is not None:
            raise source.problem(("screen", "actions", rule), *refused)


def _explain(origin: str, document: Document, error: ValidationError) -> SandboxdError:
    details = error.errors(include_url=False, include_input=False)
    first = details[0]
    path, message, remedy = _problem(first)
    for other in details[1:_SHOWN]:
        where, what, _ = _problem(other)
        message += f"; line {document.line_of(where)}: {_dotted(where)}: {what}"
    if len(details) > _SHOWN:
        message += f"; and {len(details) - _SHOWN} more"
    return invalid(origin, document.line_of(path), path, message, remedy)


def _problem(detail: Any) -> tuple[Path, str, str]:
    """Return path, message and remedy of one validation error."""
    path: Path = tuple(detail["loc"])
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return path, "unknown key", f"Allowed here: {', '.join(_keys_at(path[:-1]))}."
    if kind == "missing":
        return path, "this key is missing", "Add it."
    if kind == "literal_error":
        return path, "not one of the allowed values", f"Allowed: {context['expected']}."
    if kind == "value_error":
        return path, "no such quantity", f"Allowed: {context['error']}."
    if kind in {"model_type", "model_attributes_type"}:
        return path, "must be a mapping", f"Allowed keys: {', '.join(_keys_at(path))}."
    return path, str(detail["msg"]), "Change the value."


def _keys_at(path: Path) -> list[str]:
    """Return the keys that the mapping at a path may have."""
    model: type[BaseModel] = PolicyFile
    for step in path:
        field = next((one for name, one in model.model_fields.items() if (one.alias or name) == step), None)
        found = [one for one in _types(field.annotation) if _is_model(one)] if field else []
        if not found:
            return []
        model = found[0]
    return [one.alias or name for name, one in model.model_fields.items()]


def _types(annotation: Any) -> tuple[Any, ...]:
    return typing.get_args(annotation) or (annotation,)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _dotted(path: Path) -> str:
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:  # a key may be any text; an error is one line
            text += f".{step[:60] if step.isprintable() else repr(step[:60])}"
    return text.removeprefix(".")
