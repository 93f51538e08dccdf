//! Makes what runs what the registry says.

use std::sync::Arc;

use futures::future::join_all;

use crate::fault::Fault;
use crate::model::{ConnectionName, SchemeId, TenantId};
use crate::pipeline::gate::Scope;
use crate::pipeline::ledger::Ledger;
use crate::pipeline::transformer::Transformer as _;
use crate::sandbox::Module;
use crate::telemetry::SchemeRef;

use super::super::crew::Crew;
use super::super::office::Desk;
use super::super::references;
use super::super::scheme::Scheme;
use super::blueprint::{Blueprint, Wanted};
use super::{At, Floor, FloorError, GRACE, Place, Places, Print, Shown, Working, said};

/// Why nothing but looking and erasing is done with the documents of a scheme that is no more.
const DELETED: &str = "it was deleted. Its documents can be looked at and erased; a scheme made under its name again goes on \
                       with them";

impl Floor {
    /// Makes the scheme what the registry says: starts it, stops it, starts it anew, or exchanges its module.
    pub async fn settle_scheme(self: &Arc<Self>, tenant: &TenantId, name: &SchemeId) -> Result<(), FloorError> {
        let (floor, name) = (self.clone(), SchemeRef { tenant: tenant.clone(), scheme: name.clone() });
        self.owned(async move { floor.settle(&name).await }).await
    }

    /// Has the connection's settings of now used: what uses it is stopped, requests under way end first, and it is
    /// started again.
    pub async fn settle_connection(
        self: &Arc<Self>,
        tenant: &TenantId,
        name: &ConnectionName,
    ) -> Result<(), FloorError> {
        let (floor, tenant, name) = (self.clone(), tenant.clone(), name.clone());
        self.owned(async move { floor.reconnect(&tenant, &name).await }).await
    }

    /// Has the uploaded table's entries of now used.
    pub async fn settle_table(self: &Arc<Self>, tenant: &TenantId, table: &str) -> Result<(), FloorError> {
        let (floor, tenant, table) = (self.clone(), tenant.clone(), table.to_owned());
        self.owned(async move {
            let Some(registry) = floor.registry.clone() else { return Ok(()) };
            let (of, named) = (tenant.clone(), table.clone());
            let rows = floor.aside(move |_| registry.schemes(&of, None, usize::MAX)).await??;
            let users = rows.into_iter().filter(|row| row.tables().contains(&named.as_str()));
            let mut settled = Ok(());
            for row in users {
                let name = SchemeRef { tenant: tenant.clone(), scheme: row.name };
                settled = settled.and(floor.settle(&name).await);
            }
            settled
        })
        .await
    }

    pub(super) async fn settle(self: &Arc<Self>, name: &SchemeRef) -> Result<(), FloorError> {
        self.announce(name).await?;
        // A module may have to be compiled, for minutes: before the tenant's other changes have to wait for this one.
        // It stays loaded while it is held.
        let _warm = self.warm(name).await?;
        let tenant = self.tenant(&name.tenant);
        let mut places = tenant.lock().await;
        let settled = self.bring_about(&mut places, name).await;
        self.close_unused(&places, &name.tenant);
        settled
    }

    async fn warm(self: &Arc<Self>, name: &SchemeRef) -> Result<Option<Module>, FloorError> {
        let name = name.clone();
        self.aside(move |floor| match floor.wanted(&name) {
            Ok(Wanted::Run(blueprint)) => floor.module(&blueprint).ok(),
            _ => None,
        })
        .await
    }

    async fn bring_about(self: &Arc<Self>, places: &mut Places, name: &SchemeRef) -> Result<(), FloorError> {
        if self.stop.is_cancelled() {
            return Err(FloorError::Stopping);
        }
        let of = name.clone();
        let wanted = self.aside(move |floor| floor.wanted(&of)).await??;
        let blueprint = match wanted {
            Wanted::Nothing => {
                if let Some(mut place) = places.remove(&name.scheme) {
                    self.put_to_rest(&mut place, name).await;
                }
                self.registers.office.desks.remove(name);
                self.shown.remove(name);
                return Ok(());
            }
            Wanted::Deleted => {
                let place = places.entry(name.scheme.clone()).or_default();
                self.put_to_rest(place, name).await;
                self.registers.office.desks.remove(name);
                self.leave_a_desk(place, name, &[], DELETED.into());
                self.shown.remove(name);
                return Ok(());
            }
            Wanted::Off(shown) => {
                let place = places.entry(name.scheme.clone()).or_default();
                self.put_to_rest(place, name).await;
                self.leave_a_desk(place, name, &shown.connections, shown.reason.clone().unwrap_or_default());
                self.shown.put(name, shown);
                return Ok(());
            }
            Wanted::Broken(shown, objections) => {
                let place = places.entry(name.scheme.clone()).or_default();
                self.put_to_rest(place, name).await;
                self.stand_still(place, name, shown, said(&objections));
                return Err(FloorError::Objections(objections));
            }
            Wanted::Run(blueprint) => blueprint,
        };
        let place = places.entry(name.scheme.clone()).or_default();
        // One of which a task ended by itself is started anew, whatever it was made from.
        let has_failed = self.registers.watchers.get(name).is_some_and(|watcher| watcher.seen().stopped.is_some());
        let same = place.working.as_ref().filter(|working| working.print == blueprint.print && !has_failed);
        if let Some(working) = same {
            return self.exchange(working, name, *blueprint).await;
        }
        let prepared = self.prepared(place, *blueprint).await?;
        match prepared {
            Ok((scheme, print, shown)) => {
                self.shown.put(name, shown);
                self.put_to_work(place, scheme, print).await;
                Ok(())
            }
            Err(refused) => {
                let (shown, why) = *refused;
                self.put_to_rest(place, name).await;
                self.stand_still(place, name, shown, why.clone());
                Err(FloorError::StandsStill(why))
            }
        }
    }

    /// Stops what there was, and makes the scheme.
    #[allow(clippy::type_complexity)]
    async fn prepared(
        self: &Arc<Self>,
        place: &mut Place,
        blueprint: Blueprint,
    ) -> Result<Result<(Scheme, Print, Shown), Box<(Shown, String)>>, FloorError> {
        let name = SchemeRef { tenant: blueprint.config.tenant.clone(), scheme: blueprint.config.name.clone() };
        // Others may wait for it, and its place is not given up while it is made anew.
        self.stop_work(place, &name).await;
        self.aside(move |floor| {
            let module = match floor.module(&blueprint) {
                Ok(module) => module,
                Err(fault) => return Err(Box::new((blueprint.shown, fault.to_string()))),
            };
            let Blueprint { config, connections, print, shown, .. } = blueprint;
            let named = |name: &ConnectionName| connections.iter().find(|one| one.name == *name).cloned();
            let modules = floor.modules(&config.tenant, &print);
            match floor.workshop.scheme(&config, &named, module, modules) {
                Ok(scheme) => Ok((scheme, print, shown)),
                Err(problems) => Err(Box::new((shown, problems.join("; ")))),
            }
        })
        .await
    }

    /// The module alone, between two calls of the sandbox.
    async fn exchange(
        self: &Arc<Self>,
        working: &Working,
        name: &SchemeRef,
        blueprint: Blueprint,
    ) -> Result<(), FloorError> {
        let (before, wanted) = (working.transformer.module(), blueprint.module);
        if before == wanted {
            self.shown.put(name, Shown { at: At::Work, ..blueprint.shown });
            return Ok(());
        }
        let (shown, transformer) = (blueprint.shown.clone(), working.transformer.clone());
        let exchanged = self.aside(move |floor| -> Result<(), Fault> {
            let module = floor.module(&blueprint)?;
            transformer.fits(&module)?;
            transformer.exchange(module);
            Ok(())
        });
        match exchanged.await? {
            Ok(()) => {
                tracing::info!(scheme = %name, module = %wanted, "another module runs from the next document on");
                self.shown.put(name, Shown { at: At::Work, ..shown });
                Ok(())
            }
            Err(fault) => {
                tracing::error!(scheme = %name, module = %wanted, "the scheme goes on with {before}: {fault}");
                let (module, reason) = (Some((before, None)), Some(format!("{wanted} is wanted: {fault}")));
                self.shown.put(name, Shown { module, reason, at: At::Work, ..shown });
                Err(FloorError::Module(fault))
            }
        }
    }

    async fn reconnect(self: &Arc<Self>, tenant: &TenantId, name: &ConnectionName) -> Result<(), FloorError> {
        let lock = self.tenant(tenant);
        let mut places = lock.lock().await;
        let named = |scheme: &SchemeId| SchemeRef { tenant: tenant.clone(), scheme: scheme.clone() };
        let users: Vec<SchemeId> = places
            .iter()
            .filter(|(_, place)| place.working.as_ref().is_some_and(|working| working.connections.contains(name)))
            .map(|(scheme, _)| scheme.clone())
            .collect();
        let mut stopping = Vec::new();
        for scheme in &users {
            if let Some(working) = places.get_mut(scheme).and_then(|place| place.working.take()) {
                stopping.push(self.release(working));
            }
        }
        join_all(stopping).await;
        // A comparison of source and target may still be at it.
        let scope = Scope::Connection(tenant.clone(), name.clone());
        let _ = tokio::time::timeout(GRACE, self.registers.gates.drained(&scope)).await;
        self.workshop.close(tenant, name);
        // Those that stood still for this connection's sake may begin.
        let standing = self.shown.look();
        let stands = |shown: &Shown| shown.at == At::Standstill && shown.reason.is_some();
        let standing = standing.iter().filter(|(of, shown)| of.tenant == *tenant && stands(shown));
        let standing = standing.map(|(of, _)| of.scheme.clone()).filter(|scheme| !users.contains(scheme));
        let again: Vec<SchemeId> = users.iter().cloned().chain(standing).collect();
        let mut settled = Ok(());
        for scheme in again {
            let brought = self.bring_about(&mut places, &named(&scheme)).await;
            // What stood still before is nothing that this brought about.
            if users.contains(&scheme) {
                settled = settled.and(brought);
            }
        }
        self.close_unused(&places, tenant);
        settled
    }

    pub(super) async fn put_to_work(&self, place: &mut Place, scheme: Scheme, print: Print) {
        let name = scheme.watcher.scheme.clone();
        let tables: Vec<_> = references::fetched(&scheme.config).map(|(id, _)| id).collect();
        let scopes = tables.iter().map(|id| Scope::Connection(id.tenant.clone(), id.connection.clone())).collect();
        self.workshop.users.put(&name, scopes);
        self.tables.keep(&tables);
        let ends = [&scheme.config.source.connection, &scheme.config.target.connection].into_iter().cloned();
        let connections = ends.chain(tables.iter().map(|id| id.connection.clone())).collect();
        let transformer = scheme.transformer.clone();
        let crew = Crew::start(scheme, &place.seat, &self.registers, &self.stop).await;
        place.working = Some(Working { crew, print, transformer, tables, connections });
        if let Some(shown) = self.shown.get(&name) {
            self.shown.put(&name, Shown { at: At::Work, ..shown });
        }
    }

    /// Stops the scheme, and has nobody wait for it any more.
    async fn put_to_rest(&self, place: &mut Place, name: &SchemeRef) {
        self.stop_work(place, name).await;
        self.registers.withdraw(name);
    }

    async fn stop_work(&self, place: &mut Place, name: &SchemeRef) {
        if let Some(working) = place.working.take() {
            self.release(working).await;
            tracing::info!(scheme = %name, "the scheme was stopped");
        }
        self.workshop.users.remove(name);
    }

    async fn release(&self, working: Working) {
        let Working { crew, tables, .. } = working;
        crew.stop(GRACE).await;
        self.tables.release(&tables).await;
    }

    /// Its documents can be looked at, and what was put together of it is still good for commands.
    pub(super) fn leave_a_desk(&self, place: &Place, name: &SchemeRef, connections: &[ConnectionName], why: String) {
        if self.registers.office.desks.get(name).is_none_or(|desk| desk.works().is_none()) {
            let SchemeRef { tenant, scheme } = name.clone();
            let ledger = Ledger::new(self.workshop.shared.store.clone(), tenant.clone(), scheme.clone());
            let desk = Desk::standing(tenant, scheme, ledger, place.seat.clone(), connections.to_vec(), why);
            self.registers.office.desks.put(name, Arc::new(desk));
        }
    }

    fn stand_still(&self, place: &Place, name: &SchemeRef, shown: Shown, why: String) {
        tracing::error!(scheme = %name, "the scheme stands still: {why}");
        self.leave_a_desk(place, name, &shown.connections, why.clone());
        self.shown.put(name, Shown { reason: Some(why), at: At::Standstill, ..shown });
    }

    /// Forgets connections that nobody uses: whoever opens them next has their settings of then.
    fn close_unused(&self, places: &Places, tenant: &TenantId) {
        let working = || places.values().filter_map(|place| place.working.as_ref());
        for (of, name) in self.workshop.open_connections() {
            if of == *tenant && !working().any(|working| working.connections.contains(&name)) {
                self.workshop.close(&of, &name);
            }
        }
    }
}
