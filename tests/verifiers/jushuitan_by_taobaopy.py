"""Asks 聚水潭 behind 奇门 for a page through taobaopy, which signs with `hmac`.

Reads the account from standard input, prints the answer.
"""

import json
import sys

from taobaopy.taobao import APIClient

account = json.load(sys.stdin)
client = APIClient(account["app_key"], account["app_secret"])
# The package knows the ordinary gateway's path; the scenarios live on another of the same protocol.
client.gw_url = account["base_url"]
answer = client.jushuitan__saleout_list_query(
    target_app_key=account["target_app_key"],
    customer_id=account["customer_id"],
    start_time="2026-01-01 08:00:00",
    end_time="2026-01-03 08:00:00",
    page_index="1",
    page_size="50",
    note="备注 + & =",
)
json.dump(answer, sys.stdout)
