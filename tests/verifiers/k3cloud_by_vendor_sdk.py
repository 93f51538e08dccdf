"""Saves a bill and asks for it through 金蝶's own SDK (kingdee.cdp.webapi.sdk).

Reads the account from standard input, prints both answers. The SDK signs every request; there is no login.
"""

import json
import sys

from k3cloud_webapi_sdk.main import K3CloudApiSdk

account = json.load(sys.stdin)
sdk = K3CloudApiSdk(account["base_url"])
sdk.InitConfig(
    account["acct_id"],
    account["user_name"],
    account["app_id"],
    account["app_secret"],
    account["base_url"],
    account["lcid"],
    int(account["org_num"]),
)

row = {
    "FMaterialID": {"FNumber": "SKU001"},
    "FRealQty": 2,
    "FTaxPrice": "59.90",
    "FStockID": {"FNumber": "CK001"},
}
bill = {
    "FBillTypeID": {"FNUMBER": "XSCKD01_SYS"},
    "FBillNo": "VERIFIED-1",
    "FDate": "2026-01-02 10:11:12",
    "FSaleOrgId": {"FNumber": "101"},
    "FStockOrgId": {"FNumber": "101"},
    "FCustomerID": {"FNumber": "C001"},
    "FNote": "备注",
    "SubHeadEntity": {"FSettleCurrID": {"FNumber": "PRE001"}, "FSettleOrgID": {"FNumber": "101"}},
    "FEntity": [row],
}
saved = sdk.BatchSave("SAL_OUTSTOCK", {"Model": [bill]})
# The SDK returns an exception where it was not initialised, and does not raise it.
if isinstance(saved, Exception):
    raise saved
found = sdk.ExecuteBillQuery(
    {"FormId": "SAL_OUTSTOCK", "FieldKeys": "FBillNo,FNote", "FilterString": "FBillNo='VERIFIED-1'"}
)
json.dump({"saved": json.loads(saved), "found": json.loads(found)}, sys.stdout)
