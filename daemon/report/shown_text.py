"""Text that is safe to show: printable and UTF-8, whatever bytes the names of files consist of.

A name may contain line breaks, control characters of a terminal, and bytes that are not UTF-8, which JSON,
pages and logs cannot hold.
"""

import re

_SURROGATES = re.compile(r"[\ud800-\udfff]")


def visible(text: str, keep: str = "") -> str:
    r"""Replace what cannot be seen or encoded by an escape, such as `\n`, `\x1b` or `\xff`.

    Args:
        text: A path, or a message with one in it.
        keep: Characters that stay, such as the line breaks of a message.

    Returns:
        Printable text; the same text if it was printable.
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign in keep else _escape(sign) for sign in text)


def json_document(value: object, indent: int = 1) -> bytes:
    """Return a value as JSON; bytes that are not UTF-8 become escapes.

    Args:
        value: A value that msgspec can encode.
        indent: Number of blanks; 0 for one line.
    """
    import msgspec  # noqa: PLC0415 (a program that only shows messages does not load it)

    text = msgspec.json.encode(_encodable(msgspec.to_builtins(value)))
    return msgspec.json.format(text, indent=indent) if indent else text


def _encodable(value: object) -> object:
    if isinstance(value, str):
        return _SURROGATES.sub(lambda found: _escape(found[0]), value)
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(item) for item in value]
    return value


def _escape(sign: str) -> str:
    code = ord(sign)
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return sign.encode("unicode_escape").decode()
