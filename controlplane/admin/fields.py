"""Form fields for the parameters of rules, made from the kernel's table of them.

A field's cleaned value is what stands in the rule's document; None is left out, so
that the kernel's default holds. What a value may be is asked of the kernel afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from controlplane import selectortext
from switchgear.policy.documents.reading import read_selector
from switchgear.policy.review.wording import parameter_words, value_words
from switchgear.policy.rules.parameters import Parameter, Type

SPARE_HOPS = 3
# Their default stands in the form, and nothing else stands for it.
SEEN = {Type.FLAG, Type.CHOICE, Type.CHOICES}


class SelectorField(forms.CharField):
    """A selector on one line: ``tenant=acme, target=search*``."""

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return selectortext.written(read_selector(value))
        return value

    def to_python(self, value: Any) -> Any:
        try:
            return selectortext.read(value or "")
        except selectortext.Unreadable as error:
            raise ValidationError(str(error), code="unreadable") from error

    def run_validators(self, value: Any) -> None:
        """Its length is the kernel's to limit, not that of the text."""


class NumbersField(forms.CharField):
    """Numbers with commas between them."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        try:
            return [float(part) for part in (value or "").split(",") if part.strip()]
        except ValueError as error:
            raise ValidationError("Write numbers with commas between them.") from error

    def run_validators(self, value: Any) -> None:
        """A list is not as long as its text."""


class ChainWidget(forms.Widget):
    """The targets of a fallback, one per line, in an order that can be changed.

    Each line has its place as a number, so the order can be changed without a script;
    a script puts buttons to move a line up and down in its stead.
    """

    class Media:
        js = ("js/admin-chain.js",)
        css = {"all": ("css/admin-chain.css",)}

    def __init__(self, parts: tuple[Parameter, ...]) -> None:
        super().__init__()
        self.parts = parts

    def render(
        self, name: str, value: Any, attrs: Any = None, renderer: Any = None
    ) -> SafeString:
        hops = [*(value or []), *({} for _ in range(SPARE_HOPS))]
        heads = format_html_join(
            "", "<th>{}</th>", ((part_label(part),) for part in self.parts)
        )
        lines = format_html_join(
            "", "{}", ((self.line(name, i, hop),) for i, hop in enumerate(hops))
        )
        return format_html(
            '<table class="chain" id="{}"><thead><tr><th>place</th>{}<th>remove</th>'
            "</tr></thead><tbody>{}</tbody></table>",
            (attrs or {}).get("id", name),
            heads,
            lines,
        )

    def line(self, name: str, index: int, hop: Mapping[str, Any]) -> SafeString:
        at = f"{name}-{index}"
        cells = format_html_join(
            "",
            '<td><input type="text" name="{}-{}" value="{}" aria-label="{} {}"></td>',
            (
                (at, part.name, hop.get(part.name, ""), part_label(part), index + 1)
                for part in self.parts
            ),
        )
        return format_html(
            '<tr class="hop"><td><input type="number" step="any" name="{0}-place"'
            ' value="{1}" aria-label="place {1}"></td>{2}'
            '<td><input type="checkbox" name="{0}-remove" aria-label="remove {1}">'
            "</td></tr>",
            at,
            index + 1,
            cells,
        )

    def value_from_datadict(
        self, data: Mapping[str, Any], files: Any, name: str
    ) -> list[dict[str, str]]:
        lines = []
        index = 0
        while f"{name}-{index}-target" in data:
            at = f"{name}-{index}"
            given = {p.name: data.get(f"{at}-{p.name}", "").strip() for p in self.parts}
            hop = {part: text for part, text in given.items() if text}
            if hop and f"{at}-remove" not in data:
                lines.append((place(data.get(f"{at}-place", ""), index), index, hop))
            index += 1
        return [hop for _, _, hop in sorted(lines, key=lambda line: line[:2])]


class ChainField(forms.Field):
    def __init__(self, parts: tuple[Parameter, ...], **kwargs: Any) -> None:
        super().__init__(widget=ChainWidget(parts), **kwargs)
        self.whole = {part.name: part for part in parts if part.type is Type.INT}

    def to_python(self, value: Any) -> list[dict[str, Any]]:
        return [
            {name: self.part(name, each, number) for name, each in hop.items()}
            for number, hop in enumerate(value or [], start=1)
        ]

    def part(self, name: str, value: Any, number: int) -> Any:
        if name not in self.whole:
            return value
        try:
            return int(value)
        except ValueError as error:
            label = part_label(self.whole[name])
            msg = f"Target {number}: {label} must be a whole number."
            raise ValidationError(msg) from error


def place(text: str, index: int) -> float:
    """Where a line wants to be; without a number, where it is."""
    try:
        return float(text)
    except ValueError:
        return index + 1


def part_label(part: Parameter) -> str:
    words = parameter_words(part.name)
    return f"{words} ({part.unit})" if part.unit else words


def field_for(parameter: Parameter) -> forms.Field:
    """The field of one parameter, with its words, unit, bounds and default."""
    about = {
        "label": capfirst(part_label(parameter)),
        "help_text": helped(parameter),
        "required": parameter.required,
        "initial": parameter.default,
    }
    return FIELDS.get(parameter.type, text_field)(parameter, about)


def helped(parameter: Parameter) -> str:
    if parameter.type in SEEN or parameter.required:
        return parameter.help
    if parameter.default is None:
        return f"{parameter.help} Empty: none."
    default = value_words(parameter.default, parameter)
    return f"{parameter.help} Empty: {default}."


def text_field(parameter: Parameter, about: dict[str, Any]) -> forms.Field:
    wide = parameter.type is Type.TEXT
    widget = forms.TextInput(attrs={"size": 80 if wide else 30})
    return forms.CharField(widget=widget, empty_value=None, **about)


def int_field(parameter: Parameter, about: dict[str, Any]) -> forms.Field:
    return forms.IntegerField(
        min_value=int(parameter.least) if parameter.least is not None else None,
        max_value=int(parameter.most) if parameter.most is not None else None,
        **about,
    )


def number_field(parameter: Parameter, about: dict[str, Any]) -> forms.Field:
    return forms.FloatField(
        min_value=parameter.least, max_value=parameter.most, **about
    )


def flag_field(parameter: Parameter, about: dict[str, Any]) -> forms.Field:
    return forms.BooleanField(**about | {"required": False})


def choice_field(parameter: Parameter, about: dict[str, Any]) -> forms.Field:
    words = [(word, word.replace("_", " ")) for word in parameter.choices]
    return forms.ChoiceField(choices=words, **about)


def choices_field(parameter: Parameter, about: dict[str, Any]) -> forms.Field:
    words = [(word, word.replace("_", " ")) for word in parameter.choices]
    return forms.MultipleChoiceField(
        choices=words, widget=forms.CheckboxSelectMultiple, **about
    )


def numbers_field(parameter: Parameter, about: dict[str, Any]) -> forms.Field:
    return NumbersField(**about)


def chain_field(parameter: Parameter, about: dict[str, Any]) -> forms.Field:
    return ChainField(parameter.parts, **about)


FIELDS: Mapping[Type, Callable[[Parameter, dict[str, Any]], forms.Field]] = {
    Type.INT: int_field,
    Type.NUMBER: number_field,
    Type.FLAG: flag_field,
    Type.CHOICE: choice_field,
    Type.CHOICES: choices_field,
    Type.NUMBERS: numbers_field,
    Type.CHAIN: chain_field,
}
