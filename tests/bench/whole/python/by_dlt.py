"""Moves everything that the settings name, as dlt does: extract to files, normalise, load. usage: by_dlt.py SETTINGS"""

import json
import os
import sys

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")

import dlt
import requests
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import PageNumberPaginator

from mapping import bill

with open(sys.argv[1], encoding="utf-8") as file:
    SETTINGS = json.load(file)
SOURCE, TARGET, WINDOW = SETTINGS["source"], SETTINGS["target"], SETTINGS["window"]
SERVICE = f"{TARGET['base_url']}Kingdee.BOS.WebApi.ServicesStub.{{}}.common.kdsvc".format
HTTP = requests.Session()


@dlt.resource(name="bills", max_table_nesting=0, columns={"FDate": {"data_type": "text"}})
def bills():
    client = RESTClient(
        base_url=SOURCE["base_url"],
        paginator=PageNumberPaginator(base_page=1, page_param="page_index", total_path="response.page_count"),
        data_selector="response.datas",
    )
    query = {
        "method": "jushuitan.saleout.list.query",
        "app_key": SOURCE["app_key"],
        "target_app_key": SOURCE["target_app_key"],
        "customer_id": SOURCE["customer_id"],
        "v": "2.0",
        "format": "json",
        "status": "Confirmed",
        "start_time": WINDOW["start"],
        "end_time": WINDOW["end"],
        "page_size": SETTINGS["page_size"],
    }
    for page in client.paginate(params=query):
        yield [bill(SETTINGS["parameters"], saleout) for saleout in page]


@dlt.destination(
    batch_size=SETTINGS["page_size"], max_parallel_load_jobs=SETTINGS["saves_in_flight"], naming_convention="direct"
)
def k3cloud(items, table):
    call = {
        "formid": "SAL_OUTSTOCK",
        "data": {
            "IsDeleteEntry": True,
            "IsAutoSubmitAndAudit": True,
            "InterationFlags": "STK_InvCheckResult",
            "Model": items,
        },
    }
    answer = HTTP.post(SERVICE("DynamicFormService.BatchSave"), json=call)
    answer.raise_for_status()
    if not answer.json()["Result"]["ResponseStatus"]["IsSuccess"]:
        raise RuntimeError(answer.text)


login = {"acctid": TARGET["acct_id"], "username": TARGET["user_name"], "password": TARGET["password"], "lcid": 2052}
answer = HTTP.post(SERVICE("AuthService.ValidateUser"), json=login)
answer.raise_for_status()
HTTP.headers["kdservice-sessionid"] = answer.json()["KDSVCSessionId"]
pipeline = dlt.pipeline("whole", destination=k3cloud(), pipelines_dir=SETTINGS["directory"], dataset_name="whole")
pipeline.run(bills())
