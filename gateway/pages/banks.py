"""What banks are called on pages: in Chinese as they call themselves, in English where they are known by a name."""

from collections.abc import Mapping
from typing import Final

from gateway.domain.cards import bank_names
from gateway.pages.wording import Language

__all__ = ["bank_name"]

_ENGLISH: Final[Mapping[str, str]] = {
    "ABC": "Agricultural Bank of China",
    "BJBANK": "Bank of Beijing",
    "BJRCB": "Beijing Rural Commercial Bank",
    "BOC": "Bank of China",
    "BOHAIB": "China Bohai Bank",
    "CCB": "China Construction Bank",
    "CDB": "China Development Bank",
    "CEB": "China Everbright Bank",
    "CIB": "Industrial Bank",
    "CITIC": "China CITIC Bank",
    "CMB": "China Merchants Bank",
    "CMBC": "China Minsheng Bank",
    "COMM": "Bank of Communications",
    "CZBANK": "China Zheshang Bank",
    "EGBANK": "Evergrowing Bank",
    "GCB": "Bank of Guangzhou",
    "GDB": "China Guangfa Bank",
    "GRCB": "Guangzhou Rural Commercial Bank",
    "HSBANK": "Huishang Bank",
    "HXBANK": "Hua Xia Bank",
    "HZCB": "Bank of Hangzhou",
    "ICBC": "Industrial and Commercial Bank of China",
    "JSBANK": "Bank of Jiangsu",
    "NBBANK": "Bank of Ningbo",
    "NJCB": "Bank of Nanjing",
    "PSBC": "Postal Savings Bank of China",
    "SHBANK": "Bank of Shanghai",
    "SHRCB": "Shanghai Rural Commercial Bank",
    "SPABANK": "Ping An Bank",
    "SPDB": "Shanghai Pudong Development Bank",
    "TCCB": "Bank of Tianjin",
}


def bank_name(code: str, language: Language) -> str:
    """The name of a bank; one that has no name here is called by its code."""
    chinese = bank_names().get(code, code)
    return _ENGLISH.get(code, chinese) if language == "en" else chinese
