"""The envelope of TLT: AIPG XML in GBK, SHA1withRSA over its bytes without SIGNED_MSG (Allinpay's demo, H)."""

import re
from typing import Final
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from cryptography.hazmat.primitives.asymmetric import rsa
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from adapters.signing import SHA1, rsa_sign, rsa_verify

MAX_ANSWER_BYTES: Final = 256 * 1024
"""An answer about one order is far below this."""
MAX_CODE_CHARS: Final = 16
MAX_MESSAGE_CHARS: Final = 256

_DECLARED = re.compile(rb'<\?xml[^>]*encoding\s*=\s*["\']GBK["\'][^>]*\?>', re.IGNORECASE)
_SIGNED_MSG = re.compile(rb"<SIGNED_MSG>([0-9a-fA-F]*)</SIGNED_MSG>")
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class UnreadableError(Exception):
    """An answer that is not this PSP's word on this request; the message holds nothing of its body."""


class UnwritableError(Exception):
    """A value that GBK or XML cannot carry; the message does not hold it."""


def node(tag: str, **children: str) -> str:
    """An element with text children, escaped."""
    inside = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in children.items())
    return f"<{tag}>{inside}</{tag}>"


def in_gbk(text: str) -> bytes:
    """The text as it goes out. Raises UnwritableError.

    Names outside GB2312 are often inside GBK (镕). Those outside both (䶮) could only be sent as character references,
    and no source says that a bank would match them.
    """
    try:
        if not _NOT_XML.search(text):
            return text.encode("gbk")
    except UnicodeEncodeError:
        pass
    raise UnwritableError("has a character that GBK cannot write")


def in_gbk_or_marks(text: str) -> str:
    """The text with a question mark for each character that cannot be written: for what only people read."""
    return _NOT_XML.sub("?", text).encode("gbk", "replace").decode("gbk")


def sealed(envelope: str, key: rsa.RSAPrivateKey) -> bytes:
    """The whole request: signed, and the signature put at the end of INFO. Raises UnwritableError."""
    head, end_of_info, tail = in_gbk(f'<?xml version="1.0" encoding="GBK"?>{envelope}').partition(b"</INFO>")
    signature = rsa_sign(key, head + end_of_info + tail, SHA1).hex().encode("ascii")
    return head + b"<SIGNED_MSG>" + signature + b"</SIGNED_MSG>" + end_of_info + tail


def opened(content: bytes, key: rsa.RSAPublicKey, req_sn: str) -> Element:
    """The verified answer to the request `req_sn`. Raises UnreadableError.

    Parsed are the very bytes that were signed: the signature may stand anywhere, and must not be able to hide a tag.
    """
    if len(content) > MAX_ANSWER_BYTES or not _DECLARED.match(content):
        raise UnreadableError("not a TLT answer in GBK")
    pieces = _SIGNED_MSG.split(content)
    if len(pieces) != 3 or len(pieces[1]) % 2:
        raise UnreadableError("not one signature")
    signed, signature = pieces[0] + pieces[2], bytes.fromhex(pieces[1].decode("ascii"))
    if not rsa_verify(key, signature, signed, SHA1):
        raise UnreadableError("the signature is wrong")
    return read_envelope(signed, req_sn)


def read_envelope(signed: bytes, req_sn: str) -> Element:
    """What was verified, if it answers the request `req_sn`. Raises UnreadableError."""
    if not _DECLARED.match(signed):
        raise UnreadableError("not a TLT answer in GBK")
    root = _parsed(signed)
    if root.tag != "AIPG" or text_of(root, "INFO/REQ_SN") != req_sn:
        # A true signature under the answer about another order proves nothing about this one.
        raise UnreadableError("an answer to another request")
    return root


def text_of(element: Element, path: str) -> str | None:
    """The stripped text at a path; None when it is absent or empty."""
    return (element.findtext(path) or "").strip() or None


def said(element: Element, path: str = ".") -> tuple[str | None, str | None]:
    """RET_CODE and ERR_MSG of a node, cut to a size that can be kept."""
    code, message = text_of(element, f"{path}/RET_CODE"), text_of(element, f"{path}/ERR_MSG")
    return code and code[:MAX_CODE_CHARS], message and message[:MAX_MESSAGE_CHARS]


def _parsed(signed: bytes) -> Element:
    try:
        # Decoded here: expat reads no GBK, and takes text whatever its declaration says.
        root: Element = fromstring(signed.decode("gbk"), forbid_dtd=True)
    except (UnicodeDecodeError, ParseError, DefusedXmlException) as error:
        raise UnreadableError("broken XML") from error
    return root
