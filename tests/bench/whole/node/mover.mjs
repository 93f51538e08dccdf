// Moves everything that the settings name: a page is read while those before it are saved. usage: node mover.mjs SETTINGS

import { readFileSync } from "node:fs";
import { Agent, request } from "undici";

import { bill } from "./mapping.mjs";

const settings = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { source, target, window, parameters } = settings;
const dispatcher = new Agent({ connections: settings.saves_in_flight + 1 });

async function post(url, headers, body) {
  const answer = await request(url, { method: "POST", headers, body, dispatcher });
  if (answer.statusCode !== 200) throw new Error(`${url} answered ${answer.statusCode}: ${await answer.body.text()}`);
  return answer.body.json();
}

const service = (name) => `${target.base_url}Kingdee.BOS.WebApi.ServicesStub.${name}.common.kdsvc`;
const json = { "content-type": "application/json" };

async function read(index) {
  const form = new URLSearchParams({
    method: "jushuitan.saleout.list.query",
    app_key: source.app_key,
    target_app_key: source.target_app_key,
    customer_id: source.customer_id,
    v: "2.0",
    format: "json",
    status: "Confirmed",
    start_time: window.start,
    end_time: window.end,
    page_index: index,
    page_size: settings.page_size,
  });
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  return (await post(source.base_url, headers, form.toString())).response;
}

async function save(session, bills) {
  const call = {
    formid: "SAL_OUTSTOCK",
    data: { IsDeleteEntry: true, IsAutoSubmitAndAudit: true, InterationFlags: "STK_InvCheckResult", Model: bills },
  };
  const headers = { ...json, "kdservice-sessionid": session };
  const answer = await post(service("DynamicFormService.BatchSave"), headers, JSON.stringify(call));
  if (!answer.Result.ResponseStatus.IsSuccess) throw new Error(JSON.stringify(answer));
}

const login = { acctid: target.acct_id, username: target.user_name, password: target.password, lcid: 2052 };
const session = (await post(service("AuthService.ValidateUser"), json, JSON.stringify(login))).KDSVCSessionId;

const saves = new Set();
for (let index = 1, more = true; more; index++) {
  const page = await read(index);
  more = page.has_next;
  const bills = page.datas.map((saleout) => bill(parameters, saleout));
  if (saves.size >= settings.saves_in_flight) await Promise.race(saves);
  const saving = save(session, bills).then(() => saves.delete(saving));
  saves.add(saving);
}
await Promise.all(saves);
await dispatcher.close();
