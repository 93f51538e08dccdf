"""Asks 聚水潭 behind 奇门 for a page through topsdk, which signs with `md5` and sends the time in milliseconds.

Reads the account from standard input, prints the answer.
"""

import json
import sys
from urllib.parse import urlsplit

import top
import top.api.base

account = json.load(sys.stdin)
address = urlsplit(account["base_url"])
# The package knows the ordinary gateway's path; the scenarios live on another of the same protocol.
top.api.base.N_REST = address.path


class SaleoutListQuery(top.api.base.RestApi):
    """As the platform generates a class for each method: the name, and an attribute for each parameter."""

    def __init__(self, domain, port):
        super().__init__(domain, port)
        self.target_app_key = account["target_app_key"]
        self.customer_id = account["customer_id"]
        self.start_time = "2026-01-01 08:00:00"
        self.end_time = "2026-01-03 08:00:00"
        self.page_index = "1"
        self.page_size = "50"
        self.note = "备注 + & ="

    def getapiname(self):
        return "jushuitan.saleout.list.query"


request = SaleoutListQuery(address.hostname, address.port)
request.set_app_info(top.appinfo(account["app_key"], account["app_secret"]))
json.dump(request.getResponse(), sys.stdout)
