"""Moves everything that the settings name: a page is read while those before it are saved. usage: mover.py SETTINGS"""

import asyncio
import json
import sys

import aiohttp

from mapping import bill


async def move(settings):
    source, target, window = settings["source"], settings["target"], settings["window"]
    service = f"{target['base_url']}Kingdee.BOS.WebApi.ServicesStub.{{}}.common.kdsvc".format
    connector = aiohttp.TCPConnector(limit=settings["saves_in_flight"] + 1)
    async with aiohttp.ClientSession(connector=connector, raise_for_status=True) as http:
        login = {"acctid": target["acct_id"], "username": target["user_name"], "password": target["password"], "lcid": 2052}
        async with http.post(service("AuthService.ValidateUser"), json=login) as answer:
            session = (await answer.json())["KDSVCSessionId"]

        async def read(index):
            form = {
                "method": "jushuitan.saleout.list.query",
                "app_key": source["app_key"],
                "target_app_key": source["target_app_key"],
                "customer_id": source["customer_id"],
                "v": "2.0",
                "format": "json",
                "status": "Confirmed",
                "start_time": window["start"],
                "end_time": window["end"],
                "page_index": index,
                "page_size": settings["page_size"],
            }
            async with http.post(source["base_url"], data=form) as answer:
                return (await answer.json())["response"]

        async def save(bills):
            call = {
                "formid": "SAL_OUTSTOCK",
                "data": {
                    "IsDeleteEntry": True,
                    "IsAutoSubmitAndAudit": True,
                    "InterationFlags": "STK_InvCheckResult",
                    "Model": bills,
                },
            }
            headers = {"kdservice-sessionid": session}
            async with http.post(service("DynamicFormService.BatchSave"), json=call, headers=headers) as answer:
                answer = await answer.json()
            if not answer["Result"]["ResponseStatus"]["IsSuccess"]:
                raise RuntimeError(answer)

        saves, index, more = set(), 0, True
        while more:
            index += 1
            page = await read(index)
            more = page["has_next"]
            bills = [bill(settings["parameters"], saleout) for saleout in page["datas"]]
            if len(saves) >= settings["saves_in_flight"]:
                done, saves = await asyncio.wait(saves, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    one.result()
            saves.add(asyncio.create_task(save(bills)))
        await asyncio.gather(*saves)


with open(sys.argv[1], encoding="utf-8") as file:
    asyncio.run(move(json.load(file)))
