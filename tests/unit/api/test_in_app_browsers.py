"""Browsers inside of apps are told from others by what they say of themselves."""

import pytest

from gateway.api.cashier.in_app import is_in_app

ANDROID = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile"
VIEW = ANDROID.replace("Pixel 8)", "Pixel 8; wv)").replace("Gecko) ", "Gecko) Version/4.0 ")
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5"


@pytest.mark.parametrize(
    "agent",
    [
        f"{VIEW} Safari/537.36 MicroMessenger/8.0.49.2600(0x28003133) NetType/WIFI Language/zh_CN",
        f"{IPHONE} Mobile/15E148 MicroMessenger/8.0.49(0x18003131) NetType/WIFI Language/zh_CN",
        f"{ANDROID} Safari/537.36 wxwork/4.1.26 MicroMessenger/7.0.1",
        f"{IPHONE} Mobile/15E148 Nebula AlipayDefined(nt:WIFI) AlipayClient/10.6.0 Language/zh-Hans",
        f"{IPHONE} Mobile/15E148 QQ/9.0.70.640 V1_IPH_SQ_9.0.70_1_APP_A Pixel/1170",
        f"{VIEW} Safari/537.36 V1_AND_SQ_9.0.70_6676_YYB_D QQ/9.0.70.17330 NetType/WIFI",
        f"{VIEW} Safari/537.36 AliApp(DingTalk/7.6.0) com.alibaba.android.rimet/37360430",
        f"{IPHONE} Mobile/15E148 Weibo (iPhone15,2__weibo__14.6.0__iphone__os17.5)",
        f"{VIEW} Safari/537.36 aweme/30.3.0 BytedanceWebview/d8a21c6",
        f"{IPHONE} Mobile/15E148 Kwai/12.5.10",
        f"{VIEW} Safari/537.36 XiaoHongShu/8.40.0",
        f"{VIEW} Safari/537.36",
        f"{IPHONE} Mobile/15E148",
    ],
)
def test_inside_of_an_app(agent: str) -> None:
    assert is_in_app(agent)


@pytest.mark.parametrize(
    "agent",
    [
        "",
        f"{ANDROID} Safari/537.36",
        f"{IPHONE} Version/17.5 Mobile/15E148 Safari/604.1",
        f"{IPHONE} CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1",
        f"{IPHONE} FxiOS/127.0 Mobile/15E148 Safari/605.1.15",
        f"{ANDROID.replace('Chrome', 'Version/4.0 Chrome')} MQQBrowser/15.1 Mobile Safari/537.36 COVC/046805",
        f"{ANDROID} Safari/537.36 HuaweiBrowser/14.0.5.300",
        f"{ANDROID} Safari/537.36 EdgA/126.0",
        f"{MAC} Safari/605.1.15",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
        "curl/8.5.0",
    ],
)
def test_in_a_browser(agent: str) -> None:
    assert not is_in_app(agent)
