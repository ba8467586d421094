"""What is shown to people and machines: text of one kind, whatever bytes the names of files consist of.

A name may have line breaks, signs that steer a terminal, and bytes that are no UTF-8, which no JSON, page or
log can carry.
"""

import re

_SURROGATES = re.compile(r"[\ud800-\udfff]")


def visible(text: str, keep: str = "") -> str:
    r"""Write what cannot be seen or encoded as an escape, such as `\n`, `\x1b` or `\xff`.

    Args:
        text: A path, or a message with one in it.
        keep: Signs that stay as they are, such as the line breaks of a message.

    Returns:
        Printable text, which is the same where it was printable before.
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign in keep else _escape(sign) for sign in text)


def json_document(value: object, indent: int = 1) -> bytes:
    """Write a value of ours as JSON for machines: bytes of names that are no UTF-8 are escapes in it.

    Args:
        value: What msgspec can write.
        indent: By how many blanks; 0 for all in one line.
    """
    import msgspec  # noqa: PLC0415 (what only shows a message need not load it)

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
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return sign.encode("unicode_escape").decode()
