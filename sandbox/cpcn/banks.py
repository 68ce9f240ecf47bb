"""BankIDs that a page may be opened for: the official simulator's list of 1111 (H)."""

from collections.abc import Mapping
from typing import Final

__all__ = ["PAGES"]

PAGES: Final[Mapping[str, str]] = {
    "700": "CFCA模拟银行 Test bank",
    "888": "中金网银无卡 CPCN without card",
    "889": "中金网银 CPCN",
    "891": "金科无卡 Without card",
    "100": "邮储银行 PSBC",
    "102": "工商银行 ICBC",
    "103": "农业银行 ABC",
    "104": "中国银行 BOC",
    "105": "建设银行 CCB",
    "301": "交通银行 BOCOM",
    "302": "中信银行 CITIC",
    "303": "光大银行 CEB",
    "304": "华夏银行 HXB",
    "305": "民生银行 CMBC",
    "306": "广发银行 CGB",
    "307": "平安银行 PAB",
    "308": "招商银行 CMB",
    "309": "兴业银行 CIB",
    "310": "浦发银行 SPDB",
    "316": "浙商银行 CZB",
    "401": "上海银行 BOS",
    "403": "北京银行 BOB",
    "408": "宁波银行 NBCB",
    "409": "齐鲁银行 QLB",
    "422": "河北银行 BHB",
    "423": "杭州银行 HZB",
    "424": "南京银行 NJCB",
    "434": "天津银行 TCCB",
    "440": "徽商银行 HSB",
    "447": "兰州银行 LZB",
    "448": "江西银行 JXB",
    "450": "青岛银行 BQD",
    "491": "桂林银行 GLB",
    "1405": "广州农村商业银行 GRCB",
    "1562": "珲春农商银行 Hunchun",
    "1565": "颖淮农村商业银行 Yinghuai",
    "1580": "延边农村商业银行 Yanbian",
}
