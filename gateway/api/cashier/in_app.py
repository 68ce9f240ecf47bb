"""Browsers inside of apps: they may not open the pages of banks, and have no address bar to copy from."""

import re
from typing import Final

__all__ = ["is_in_app"]

_APPS: Final = re.compile(
    r"MicroMessenger|wxwork|AlipayClient|DingTalk|\bWeibo|\bQQ/|Qzone|TIM/|aweme|BytedanceWebview|NewsArticle|ToutiaoMicroApp"
    r"|baiduboxapp|Kwai|kuaishou|XiaoHongShu|discover/|jdapp|jdjr|Lark/|Feishu|UnionPay|pinduoduo|bili(?:-universal|app)"
    r"|FBAN|FBAV|Instagram|\bLine/|Twitter|LinkedInApp|Snapchat|;\s*wv\)",
    re.IGNORECASE,
)
_IOS: Final = re.compile(r"\b(?:iPhone|iPad|iPod)\b.*AppleWebKit")
_BROWSERS_ON_IOS: Final = re.compile(r"Safari/|CriOS/|FxiOS/|EdgiOS/|OPiOS/|MQQBrowser/|UCBrowser/")


def is_in_app(user_agent: str) -> bool:
    """Whether a page is shown inside of an app, by what its browser says of itself."""
    if _APPS.search(user_agent):
        return True
    # On an iPhone only browsers call themselves Safari: views inside of apps leave it out.
    return bool(_IOS.search(user_agent)) and not _BROWSERS_ON_IOS.search(user_agent)
