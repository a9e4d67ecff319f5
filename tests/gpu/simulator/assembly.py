"""Translates inline assembly, which is PTX, to C++ that calls ``kernel/ptx.h``.

Only forms that TVM's code generator emits are known. Any other is refused with its text, as to
leave it out would make a kernel compute something else.
"""

import re
from collections.abc import Iterator

START = re.compile(r"\b(?:asm|__asm__)\s*(?:volatile|__volatile__)?\s*\(")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
GUARDED = re.compile(r"@(!?)(\w+)\s+(.*)")
ADDRESS = r"\[\s*([%\w]+)\s*\]"
GROUP = r"\{([^}]*)\}"

FORMS: tuple[tuple[str, str], ...] = (
    (r"\.reg \.pred (\w+)", "bool {0}"),
    (r"\.reg \.[bus](?:32|64) (\w+)", "unsigned long {0}"),
    (r"setp\.eq\.[bus]32 (\w+), ([%\w]+), ([%\w]+)", "{0} = {1} == {2}"),
    (r"setp\.ne\.[bus]32 (\w+), ([%\w]+), ([%\w]+)", "{0} = {1} != {2}"),
    (r"cvta\.to\.shared\.u64 ([%\w]+), ([%\w]+)", "{0} = (unsigned long)({1})"),
    (r"cvt\.u32\.u64 ([%\w]+), ([%\w]+)", "{0} = {1}"),
    (
        rf"cp\.async\.c[ag]\.shared\.global(?:\.L2::\d+B)? {ADDRESS}, {ADDRESS}, ([%\w]+)",
        "simulated_copy_async((void*)({0}), (const void*)({1}), {2})",
    ),
    (r"cp\.async\.commit_group", "simulated_commit_copies()"),
    (r"cp\.async\.wait_group ([%\w]+)", "simulated_wait_for_copies({0})"),
    (r"cp\.async\.wait_all", "simulated_wait_for_all_copies()"),
    (rf"st\.shared(?:\.v[24])?\.[bu]32 {ADDRESS}, {GROUP}", "simulated::store({0}, {{{1}}})"),
    (
        rf"ldmatrix\.sync\.aligned\.m8n8\.x[124]\.shared\.b16\s*{GROUP}, {ADDRESS}",
        "simulated::load_matrices<false>({1}, {{{0:&}}})",
    ),
    (
        rf"ldmatrix\.sync\.aligned\.m8n8\.x[124]\.trans\.shared\.b16\s*{GROUP}, {ADDRESS}",
        "simulated::load_matrices<true>({1}, {{{0:&}}})",
    ),
    (
        r"mma\.sync\.aligned\.m16n8k(\d+)\.row\.col\.f32\.(f16|bf16|tf32)\.\2\.f32\s*"
        rf"{GROUP}, {GROUP}, {GROUP}, {GROUP}",
        "simulated::multiply<simulated::{1}, {0}>({{{2:&}}}, {{{3}}}, {{{4}}}, {{{5}}})",
    ),
    (
        r"mma\.sync\.aligned\.m16n8k(\d+)\.row\.col\.f16\.f16\.f16\.f16\s*"
        rf"{GROUP}, {GROUP}, {GROUP}, {GROUP}",
        "simulated::multiply_half<{0}>({{{1:&}}}, {{{2}}}, {{{3}}}, {{{4}}})",
    ),
    (r"trap", "__builtin_trap()"),
)
"""Instructions, and what they are in C++. With ``:&`` addresses of the operands are given."""


class UnknownAssembly(Exception):
    """A form of inline assembly that the simulated GPU does not know."""


class _Operands(str):
    """A list of operands that can be written as a list of their addresses."""

    def __format__(self, form: str) -> str:
        parts = [part.strip() for part in split(str(self), ",")]
        return ", ".join(f"&({part})" if form == "&" else part for part in parts)


def replaced(source: str) -> str:
    """Returns a source with all statements of inline assembly replaced by C++.

    Raises:
        UnknownAssembly: One has a form that is not known.
    """
    done, at = [], 0
    while (found := START.search(source, at)) is not None:
        end = closing(source, found.end() - 1)
        done += [source[at : found.start()], statement(source[found.end() : end])]
        at = end + 1
    return "".join([*done, source[at:]])


def statement(inside: str) -> str:
    """Translates what is between the brackets of one statement."""
    template, *lists = split(inside, ":")
    text = "".join(STRING.findall(template)).replace("\\n", " ").replace("\\t", " ")
    operands = [operand for some in lists[:2] for operand in _operands(some)]
    return "{ " + " ".join(f"{one};" for one in _instructions(text, operands)) + " }"


def _operands(text: str) -> Iterator[str]:
    for one in split(text, ","):
        if one.strip():
            yield one[one.index("(") + 1 : one.rindex(")")]


def _instructions(text: str, operands: list[str]) -> Iterator[str]:
    body = text.strip()
    if body.startswith("{") and body.endswith("}"):
        body = body[1:-1]
    for one in split(body, ";"):
        instruction = " ".join(one.split())
        if not instruction:
            continue
        guarded = GUARDED.fullmatch(instruction)
        if guarded:
            condition = f"if ({guarded[1]}{guarded[2]}) "
            yield condition + _instruction(guarded[3], operands)
        else:
            yield _instruction(instruction, operands)


def _instruction(text: str, operands: list[str]) -> str:
    for form, meaning in FORMS:
        found = re.fullmatch(form, text)
        if found:
            given = [_Operands(_named(part, operands)) for part in found.groups()]
            return meaning.format(*given)
    raise UnknownAssembly(f"the inline assembly {text!r}")


def _named(text: str, operands: list[str]) -> str:
    return re.sub(r"%(\d+)", lambda number: f"({operands[int(number[1])]})", text)


def split(text: str, by: str) -> list[str]:
    """Splits C++ or PTX by a character, but inside brackets and strings, nor in ``::``."""
    parts, depth, quoted, start = [], 0, False, 0
    for n, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == by and not depth:
            parts.append(text[start:n])
            start = n + 1
    return [*parts, text[start:]]


def closing(text: str, opening: int) -> int:
    """Returns where the bracket closes that opens at a place of a text."""
    depth, quoted = 0, False
    for n in range(opening, len(text)):
        if text[n] == '"':
            quoted = not quoted
        elif not quoted and text[n] in "()":
            depth += 1 if text[n] == "(" else -1
            if not depth:
                return n
    raise UnknownAssembly("inline assembly that does not end")
