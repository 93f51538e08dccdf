//! What a guest may call: its log and its reference tables. Every call is counted, and costs fuel by the byte, because
//! neither fuel nor epoch sees the time that passes in here.

use wasmtime::component::Linker;
use wasmtime::{StoreContextMut, Trap};

use super::bindings::crossdock::transform::log::Level as WireLevel;
use super::bindings::crossdock::transform::reference::LookupError;
use super::contract::{LOG, REFERENCE, TYPES};
use super::error::Error;
use super::state::{Level, Lookup, RunState};

pub fn link(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    linker.instance(TYPES)?;
    linker.instance(LOG)?.func_wrap(
        "write",
        |mut store: StoreContextMut<'_, RunState>, (level, message): (WireLevel, String)| {
            charge(&mut store, message.len() as u64)?;
            let level = match level {
                WireLevel::Debug => Level::Debug,
                WireLevel::Info => Level::Info,
                WireLevel::Warn => Level::Warn,
                WireLevel::Error => Level::Error,
            };
            let call = &mut store.data_mut().call;
            call.log.write(level, &message, &call.limits);
            Ok(())
        },
    )?;
    linker.instance(REFERENCE)?.func_wrap(
        "lookup",
        |mut store: StoreContextMut<'_, RunState>, (table, key): (String, String)| {
            charge(&mut store, (table.len() + key.len()) as u64)?;
            Ok((lookup(&mut store, table, key)?,))
        },
    )
}

type Answer = Result<Option<String>, LookupError>;

/// One call sees one answer for a key: the first one is kept.
fn lookup(store: &mut StoreContextMut<'_, RunState>, table: String, key: String) -> wasmtime::Result<Answer> {
    let state = store.data_mut();
    let asked = (table, key);
    let answer = match state.call.lookups.get(&asked) {
        Some(answer) => answer.clone(),
        None => {
            let answer = state.references.lookup(&asked.0, &asked.1);
            if answer == Lookup::Pending {
                let (table, key) = asked;
                return Err(end(store, Error::ReferencePending { table, key }));
            }
            state.call.lookups.insert(asked, answer.clone());
            answer
        }
    };
    match answer {
        Lookup::Found(value) => {
            let call = &mut store.data_mut().call;
            call.lookup_bytes = call.lookup_bytes.saturating_add(value.len() as u64);
            let (limit, used) = (call.limits.lookup_limit_bytes, call.lookup_bytes);
            if used > limit {
                return Err(end(store, Error::LookupBytesExhausted { limit, used }));
            }
            take_fuel(store, value.len() as u64)?;
            Ok(Ok(Some(value)))
        }
        Lookup::KnownMissing => Ok(Ok(None)),
        Lookup::UnknownTable => Ok(Err(LookupError::UnknownTable)),
        Lookup::Pending => Err(end(store, Error::Internal { problem: "a pending answer was kept".into() })),
    }
}

/// Counts a host call and takes its price.
pub fn charge(store: &mut StoreContextMut<'_, RunState>, bytes: u64) -> wasmtime::Result<()> {
    let call = &mut store.data_mut().call;
    call.host_calls += 1;
    let limit = call.limits.host_calls_limit;
    let price = call.host_call_fuel.saturating_add(bytes);
    if call.host_calls > limit {
        return Err(end(store, Error::HostCallsExhausted { limit }));
    }
    take_fuel(store, price)
}

fn take_fuel(store: &mut StoreContextMut<'_, RunState>, price: u64) -> wasmtime::Result<()> {
    let Some(left) = store.get_fuel()?.checked_sub(price) else {
        store.set_fuel(0)?;
        return Err(Trap::OutOfFuel.into());
    };
    store.set_fuel(left)
}

/// Ends the call for a reason of the host's. The reason waits in the state; the error only unwinds the guest.
pub fn end(store: &mut StoreContextMut<'_, RunState>, reason: Error) -> wasmtime::Error {
    let error = wasmtime::Error::msg(reason.to_string());
    store.data_mut().call.ended = Some(reason);
    error
}
