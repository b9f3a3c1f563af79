"""Text of events and object names in harmless forms: no command to a terminal, no markup to a browser or a chat.

Whoever shows text as plain text needs ``inert`` alone. Dagster shows descriptions of checks as Markdown: ``in_markdown``.
"""

import re
import unicodedata

UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of Unicode whose characters are not seen: controls, formats such as U+202E, halves of pairs, separators of lines
and paragraphs."""
_CODE_SPAN = re.compile(r"(?<!`)`[^`\n]+`(?!`)")
_MARKUP = re.compile(r"""[\[\]<>*~\\&`\n]|://|www\.|@|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])""", re.IGNORECASE)
_CODE = re.compile(r"(?P<fence>`+)(?P<end>[ \n])(?P<text>.*)(?P=end)(?P=fence)", re.DOTALL)
_LEAST_FENCE = 3
_FOR_CHAT = str.maketrans({"<": "＜", ">": "＞", "[": "［", "]": "］", "@": "＠", "`": "\u2018", "*": "＊"})


def inert(text: str, *, keep: str = "", longest: int | None = None) -> str:
    """The text with control and format characters by their code, as in ``\\x1b`` and ``\\u202e``, but for those to ``keep``.

    A text of more than ``longest`` characters is cut there and gets an ellipsis.
    """
    is_cut = longest is not None and len(text) > longest
    shown = text[:longest] if is_cut else text
    if not (shown.isascii() and shown.isprintable()):
        shown = "".join(
            _code_of(character) if unicodedata.category(character) in UNSEEN and character not in keep else character
            for character in shown
        )
    return f"{shown}…" if is_cut else shown


def in_markdown(text: str) -> str:
    """Markdown that shows the text as it is: as code, where anything of it outside of code spans could be markup."""
    text = inert(text, keep="\n")
    if not _MARKUP.search(_CODE_SPAN.sub("", text)):
        return text
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    if "\n" not in text:
        fence = "`" * (longest + 1)  # a span: unlike a block, the page breaks its line
        return f"{fence} {text} {fence}"
    fence = "`" * max(_LEAST_FENCE, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def from_markdown(markdown: str) -> str:
    """The text of which ``in_markdown`` made this."""
    found = _CODE.fullmatch(markdown)
    return found["text"] if found is not None else markdown


def in_chat(text: str) -> str:
    """One line for a chat system: characters of links, mentions or markup become full-width ones."""
    return inert(text).translate(_FOR_CHAT).replace("://", "：//")


def _code_of(character: str) -> str:
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
