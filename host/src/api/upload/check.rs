//! From an upload's first byte to its report: taken in, taken apart, looked at, compiled where it does no harm, tried.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use bytes::Bytes;
use serde_json::value::RawValue;

use super::entries::Sent;
use super::form::{self, Part};
use super::report::Report;
use super::spool::{self, Spooled};
use super::trial::{self, Given, Purse, Tables};
use crate::api::Api;
use crate::api::convert::{over_quota, registry_problem};
use crate::api::extract::{announced, is_plain, media_type, read, too_large};
use crate::api::gate::Caller;
use crate::api::problem::{Answer, Code, Entry, Problem};
use crate::model::Digest;
use crate::pipeline::quota::Exceeded;
use crate::registry::{Entries, ModuleRow, Refusal, TABLE_LIMIT_ENTRIES, Tenant, signed_message};
use crate::sandbox::{self, Module, ModuleClass};

/// The signature of a raw upload: 64 bytes in base64.
const SIGNATURE_HEADER: &str = "crossdock-signature";
/// What one run of the trial holds at once is at most so many outcomes.
const SAMPLES_LIMIT: usize = 10;
/// Names of tables, as schemes have them.
const TABLE_NAME_LIMIT_BYTES: usize = 128;

/// What became of an upload.
pub struct Taken {
    pub report: Report,
    /// `false` where the same bytes were there already.
    pub created: bool,
}

/// An upload, taken apart.
struct Offer {
    component: Bytes,
    digest: Digest,
    signature: Option<[u8; 64]>,
    parameters: String,
    samples: Vec<Given>,
    tables: Tables,
}

/// Takes an upload of the caller's tenant.
pub async fn take(api: &Arc<Api>, caller: &Caller, request: Request) -> Answer<Taken> {
    let tenant = caller.row()?;
    let form = is_form(request.headers())?;
    let limit = limit(api, tenant, form.is_some());
    announced(request.headers(), limit)?;
    let header = request.headers().get(SIGNATURE_HEADER).map(|value| signature(value.as_bytes())).transpose()?;
    has_room(api, tenant, request.headers(), form.is_some()).await?;
    let _place = api.uploads.enter(&tenant.id)?;
    let limits = api.uploads.limits();
    let spooled = spool::receive(request.into_body(), &api.uploads.directory, limit, limits).await?;

    let memory = api.uploads.memory_for(&tenant.id).await?;
    let input_limit = api.sandbox.settings().input_limit_bytes;
    let offer = aside(move || open(spooled, form.as_deref(), header, input_limit)).await?;
    let signed_by = signed_by(api, tenant, &offer)?;
    let known = api.registry.module(&tenant.id, &offer.digest).map_err(registry_problem)?;
    let known = match known {
        Some(row) => Some(sign(api, caller, row, signed_by.as_ref(), &offer.component).await?),
        None => None,
    };
    if let Some(row) = &known
        && offer.samples.is_empty()
    {
        return Ok(Taken { report: kept(row)?, created: false });
    }
    let class = class(api, tenant, &offer.component)?;
    let (module, cached) = compile(api, tenant, &offer, class, known.is_some()).await?;
    // Samples may run for a minute, and take what a scheme's documents would.
    drop(memory);

    let (sandbox, id, tried) = (api.sandbox.clone(), tenant.id.clone(), module.clone());
    let purse = Purse { meter: api.floor.meter(&tenant.id), now: api.now.clone() };
    let Offer { component, parameters, samples, tables, .. } = offer;
    let trial = aside(move || Ok(trial::run(&sandbox, &tried, &id, &parameters, &samples, &tables, &purse))).await?;
    if let Some(row) = known {
        return Ok(Taken { report: Report::of(&module, row.signed_by, trial, cached), created: false });
    }
    let report = Report::of(&module, signed_by.clone(), trial, cached);
    let text = serde_json::to_string(&report).map_err(Problem::internal)?;
    let row = ModuleRow {
        digest: report.digest,
        name: report.name.clone(),
        version: report.version.clone(),
        class: report.class.clone(),
        size: report.size_bytes,
        uploaded_at: (api.now)(),
        uploaded_by: caller.actor.token.clone(),
        signed_by,
        report: RawValue::from_string(text).map_err(Problem::internal)?,
    };
    let put = api.registry.put_module(&caller.actor, &tenant.id, row, component).await.map_err(registry_problem)?;
    Ok(Taken { report, created: put.created })
}

/// Whether it could be taken at all, before a byte of it comes.
async fn has_room(api: &Arc<Api>, tenant: &Tenant, headers: &HeaderMap, is_form: bool) -> Answer<()> {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let (registry, row) = (api.registry.clone(), tenant.clone());
    let room = move || registry.room_for_module(&row, length.filter(|_| !is_form)).map_err(registry_problem);
    aside(room).await?;
    match api.floor.meter(&tenant.id).exceeded((api.now)()).filter(|_| is_form) {
        Some(Exceeded { quota, limit, used, until, .. }) => Err(over_quota(&quota, limit, used, until).closing()),
        None => Ok(()),
    }
}

/// Off the async threads.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> Answer<T> + Send + 'static) -> Answer<T> {
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?
}

/// The boundary, where the upload is a form; `None` where it is the component itself.
fn is_form(headers: &HeaderMap) -> Answer<Option<String>> {
    is_plain(headers)?;
    match media_type(headers).as_deref() {
        Some("application/wasm") => Ok(None),
        Some("multipart/form-data") => {
            let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
            form::boundary(text).map(Some)
        }
        _ => {
            let detail = "send the component as application/wasm, or with samples as multipart/form-data";
            Err(Problem::new(Code::UnsupportedMediaType, detail).closing())
        }
    }
}

/// Bytes of an upload: a component of the class that the tenant may have, and in a form what comes along.
fn limit(api: &Api, tenant: &Tenant, is_form: bool) -> u64 {
    let settings = api.sandbox.settings();
    let class = if tenant.policy.interpreter_modules { ModuleClass::Interpreter } else { ModuleClass::Standard };
    let beside = if is_form { settings.input_limit_bytes.saturating_mul(2) } else { 0 };
    settings.class(class).component_limit_bytes.saturating_add(beside).min(api.uploads.limits().bytes)
}

fn open(spooled: Spooled, form: Option<&str>, header: Option<[u8; 64]>, input_limit: u64) -> Answer<Offer> {
    let body = spooled.read()?;
    let Some(boundary) = form else {
        return Ok(Offer {
            digest: Digest::of(&body),
            component: body,
            signature: header,
            parameters: "{}".into(),
            samples: Vec::new(),
            tables: Tables::default(),
        });
    };
    let mut parts = Parts { signature: header, ..Parts::default() };
    for part in form::parts(&body, boundary)? {
        parts.add(part, input_limit)?;
    }
    let Some(component) = parts.component else {
        return Err(Problem::invalid("the form has no part named module"));
    };
    Ok(Offer {
        digest: Digest::of(&component),
        component,
        signature: parts.signature,
        parameters: parts.parameters.unwrap_or_else(|| "{}".into()),
        samples: parts.samples,
        tables: Tables(parts.tables),
    })
}

#[derive(Default)]
struct Parts {
    component: Option<Bytes>,
    signature: Option<[u8; 64]>,
    parameters: Option<String>,
    samples: Vec<Given>,
    tables: BTreeMap<String, Entries>,
    /// Of all tables together: they are in memory until the last sample has run.
    entries: usize,
}

impl Parts {
    fn add(&mut self, part: Part, input_limit: u64) -> Answer<()> {
        let twice = || Problem::invalid(format!("the form has two parts named {:?}", part.name));
        match part.name.as_str() {
            "module" => self.component.replace(part.bytes.clone()).map_or(Ok(()), |_| Err(twice())),
            "signature" => self.signature.replace(signature(&part.bytes)?).map_or(Ok(()), |_| Err(twice())),
            "parameters" => {
                let _: serde_json::Map<String, serde_json::Value> = read(&part.bytes)?;
                self.parameters.replace(text(&part)?).map_or(Ok(()), |_| Err(twice()))
            }
            "sample" => {
                if self.samples.len() == SAMPLES_LIMIT {
                    return Err(Problem::invalid(format!("the form has more than {SAMPLES_LIMIT} samples")));
                }
                if part.bytes.len() as u64 > input_limit {
                    return Err(too_large(input_limit));
                }
                let name = part.file_name.clone().filter(|name| !name.is_empty());
                let name = name.unwrap_or_else(|| format!("sample-{}", self.samples.len() + 1));
                self.samples.push(Given { name, body: text(&part)? });
                Ok(())
            }
            name => {
                let table = name.strip_prefix("table.").filter(|table| is_table(table)).ok_or_else(|| {
                    let known = "module, signature, parameters, sample and table.NAME";
                    Problem::invalid(format!("the form has a part named {name:?}; parts are {known}"))
                })?;
                let Sent(entries) = read(&part.bytes)?;
                self.entries += entries.len();
                if self.entries > TABLE_LIMIT_ENTRIES {
                    let problem = format!("the form's tables have more than {TABLE_LIMIT_ENTRIES} entries together");
                    return Err(Problem::invalid(problem));
                }
                self.tables.insert(table.to_owned(), entries).map_or(Ok(()), |_| Err(twice()))
            }
        }
    }
}

fn is_table(name: &str) -> bool {
    !name.is_empty() && name.len() <= TABLE_NAME_LIMIT_BYTES
}

fn text(part: &Part) -> Answer<String> {
    String::from_utf8(part.bytes.to_vec())
        .map_err(|error| Problem::invalid(format!("the part {:?} is not UTF-8: {error}", part.name)))
}

fn signature(text: &[u8]) -> Answer<[u8; 64]> {
    let bytes = BASE64.decode(text.trim_ascii()).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
    bytes.ok_or_else(|| Problem::new(Code::SignatureInvalid, "a signature is 64 bytes in base64"))
}

/// The key that signed it. Whether one is needed and whether one is right is known before anything is compiled.
fn signed_by(api: &Api, tenant: &Tenant, offer: &Offer) -> Answer<Option<String>> {
    let Some(signature) = &offer.signature else {
        if tenant.policy.require_signature {
            let detail = format!("the tenant takes signed modules only; sign {:?}", signed_message(&offer.digest));
            return Err(Problem::new(Code::SignatureRequired, detail));
        }
        return Ok(None);
    };
    let message = signed_message(&offer.digest);
    let key = api.registry.verify(&tenant.id, message.as_bytes(), signature).map_err(registry_problem)?;
    let detail = || format!("none of the tenant's keys signed {message:?}");
    key.map(Some).ok_or_else(|| Problem::new(Code::SignatureInvalid, detail()))
}

/// The class that the component needs, of those that the tenant may have.
fn class(api: &Api, tenant: &Tenant, component: &[u8]) -> Answer<ModuleClass> {
    match api.sandbox.scan(component, ModuleClass::Standard) {
        Ok(_) => Ok(ModuleClass::Standard),
        Err(error) if !tenant.policy.interpreter_modules => Err(refused(&error)),
        Err(_) => {
            let scanned = api.sandbox.scan(component, ModuleClass::Interpreter);
            scanned.map(|_| ModuleClass::Interpreter).map_err(|error| refused(&error))
        }
    }
}

/// The component, ready to run, and whether the tenant had it compiled before; what was refused before is refused again
/// without being compiled.
///
/// What others had compiled is told, charged and waited for as if it had been compiled for this tenant: nobody learns here
/// what modules others have.
async fn compile(
    api: &Arc<Api>,
    tenant: &Tenant,
    offer: &Offer,
    class: ModuleClass,
    is_own: bool,
) -> Answer<(Module, bool)> {
    let settings = sandbox::settings_hash(api.sandbox.settings(), class).to_string();
    let before = api.registry.refusal(&tenant.id, &offer.digest, class.as_str(), &settings);
    if let Some(Refusal { code, problem, at }) = before.map_err(registry_problem)? {
        return Err(refusal(&code, format!("{problem} (found out at {at}; the same bytes are not compiled again)")));
    }
    api.registry.compile_left(&tenant.id).map_err(registry_problem)?;
    let (sandbox, component) = (api.sandbox.clone(), offer.component.clone());
    let began = Instant::now();
    let (loaded, cost) = aside(move || Ok(sandbox.load_at_cost(&component, class))).await?;
    let cached = cost.known && is_own;
    if !cached {
        api.registry.compile_spend(&tenant.id, cost.compiling).await.map_err(registry_problem)?;
    }
    if cost.known && !is_own {
        tokio::time::sleep(cost.compiling.saturating_sub(began.elapsed())).await;
    }
    match loaded {
        Ok(module) => Ok((module, cached)),
        Err(error @ (sandbox::Error::ModuleRefused { .. } | sandbox::Error::CompileLimit { .. })) => {
            let fault = error.fault();
            let told = refused(&error);
            let (code, problem) = (fault.code.as_str(), told.detail());
            let kept = api.registry.put_refusal(&tenant.id, &offer.digest, class.as_str(), &settings, code, problem);
            kept.await.map_err(registry_problem)?;
            Err(told)
        }
        Err(error) => Err(error.fault().into()),
    }
}

fn refused(error: &sandbox::Error) -> Problem {
    let problem = Problem::from(error.fault());
    match error {
        sandbox::Error::ModuleRefused { problems } => {
            let entry =
                |problem: &String| Entry { pointer: String::new(), detail: problem.clone(), remedy: String::new() };
            problem.with_errors(problems.iter().map(entry).collect())
        }
        _ => problem,
    }
}

fn refusal(code: &str, detail: String) -> Problem {
    let code = crate::fault::Code::ALL.iter().find(|known| known.as_str() == code);
    Problem::new(Code::Fault(code.copied().unwrap_or(crate::fault::Code::ModuleRefused)), detail)
}

/// The known module, with the signature that came now where it had none: its upload again is how it is signed.
async fn sign(
    api: &Api,
    caller: &Caller,
    row: ModuleRow,
    key: Option<&String>,
    component: &Bytes,
) -> Answer<ModuleRow> {
    let Some(key) = key.filter(|_| row.signed_by.is_none()) else { return Ok(row) };
    let (tenant, signed_by) = (caller.row()?, Some(key.clone()));
    let report = Report { signed_by: signed_by.clone(), ..kept(&row)? };
    let text = serde_json::to_string(&report).map_err(Problem::internal)?;
    let report = RawValue::from_string(text).map_err(Problem::internal)?;
    let row = ModuleRow { signed_by, report, ..row };
    let put = api.registry.put_module(&caller.actor, &tenant.id, row.clone(), component.clone());
    put.await.map_err(registry_problem)?;
    Ok(row)
}

/// The report as it was when the module was uploaded.
fn kept(row: &ModuleRow) -> Answer<Report> {
    serde_json::from_str(row.report.get()).map_err(Problem::internal)
}
