"""Asks 旺店通 behind 奇门 for stock-ins and pushes a trade through wdtqm, which signs with `md5`.

Reads the account from standard input, prints both answers. The package is made for another edition and sends that one's
parameters too; the gateway signs whatever is sent, so the signature covers them.
"""

import json
import sys

from wdtqm import WdtQimenSDK

account = json.load(sys.stdin)
sdk = WdtQimenSDK(
    app_key=account["app_key"],
    app_secret=account["app_secret"],
    target_app_key=account["target_app_key"],
    wdt_app_key="other-edition",
    wdt_app_secret="other-edition:salt",
    wdt3_customer_id="other-edition",
    server_url=account["base_url"],
)
line = {
    "oid": "VERIFIED-1-1",
    "num": 2,
    "price": 50,
    "status": 30,
    "refund_status": 0,
    "goods_id": "G1",
    "spec_id": "S1",
    "goods_no": "G1",
    "spec_no": "SKU001",
    "goods_name": "测试商品",
    "adjust_amount": 0,
    "discount": 0,
    "share_discount": 0,
}
trade = {
    "tid": "VERIFIED-1",
    "trade_status": 30,
    "pay_status": 2,
    "delivery_term": 1,
    "trade_time": "2026-01-15 09:00:00",
    "pay_time": "2026-01-15 09:01:00",
    "buyer_nick": "测试买家",
    "receiver_name": "张三",
    "receiver_province": "北京",
    "receiver_city": "北京市",
    "receiver_district": "海淀区",
    "receiver_address": "中关村大街1号",
    "receiver_mobile": "13800000000",
    "post_amount": 0,
    "cod_amount": 0,
    "ext_cod_fee": 0,
    "other_amount": 0,
    "paid": 100,
    "order_list": [line],
}
asked = sdk.call_api(
    "wdt.stockin.order.query",
    {"sid": account["sid"], "start_time": "2026-01-01 08:00:00", "end_time": "2026-01-03 08:00:00"},
)
pushed = sdk.call_api(
    "wdt.trade.push",
    {
        "sid": account["sid"],
        "shop_no": account["shop_no"],
        "trade_list": json.dumps([trade], ensure_ascii=False),
    },
)
json.dump({"asked": asked, "pushed": pushed}, sys.stdout)
