//! How far behind the members of a drill's groups are: an item written to one, read from another.

use std::time::Duration;

use crate::cloud::provider::MemberRead;
use crate::engine::address::Address;
use crate::engine::lang::model::Stack;
use crate::engine::plan::availability::replica_group::{Members, group_name};
use crate::engine::schema::Kind;
use crate::engine::state::record::{Record, State};
use crate::engine::value::Attributes;
use crate::ops::drill::spec::DrillContext;
use crate::ops::load::session::Session;

/// How long a written item took to a member, or why it did not arrive.
pub type Arrived = (Address, Result<Duration, String>);

impl DrillContext<'_> {
    /// How far behind the other members are, measured while all of them live. Borrowed ones are left alone.
    pub(super) async fn replication(&self, stack: &Stack) -> Vec<Arrived> {
        let mut measured = Vec::new();
        // Items are written: only under the lease, which goes with this function.
        let at = self.session.clock.now();
        let store = self.session.store(&self.script.ask.place);
        let leased = store.lease(&self.session.who, &self.script.command, at);
        for (address, instance) in &stack.instances {
            let Some(gate) = instance.resource.gates.replication() else { continue };
            let state = match &leased {
                Ok((_, Some(state))) => state,
                Ok((_, None)) => continue,
                Err(why) => {
                    measured.push((address.clone(), Err(why.to_string())));
                    continue;
                }
            };
            let Some((own, theirs)) = pair(self.session, state, address) else { continue };
            let within = Duration::from_secs(gate.within_seconds);
            let member = |it: &(Kind, Record)| (it.0.clone(), object(it));
            let ((own_kind, own), (their_kind, theirs)) = (member(&own), member(&theirs));
            let writer = MemberRead { kind: &their_kind, attributes: &theirs };
            let reader = MemberRead { kind: &own_kind, attributes: &own };
            let took = self.session.provider.replicates(writer, reader, within).await;
            measured.push((address.clone(), took.map_err(|why| why.to_string())));
        }
        measured
    }
}

fn object((_, record): &(Kind, Record)) -> Attributes {
    record.object()
}

type KnownReplicas = (Kind, Record);

/// A recorded member of a group and another one.
fn pair(
    session: &Session,
    state: &State,
    address: &Address,
) -> Option<(KnownReplicas, KnownReplicas)> {
    let known = |it: &Record| Some((session.catalog.get(&it.kind)?.clone(), it.clone()));
    let own = known(state.records.get(address)?)?;
    let group = |(kind, record): &KnownReplicas| group_name(kind, &record.object());
    let members = state.records.iter();
    let members: Members<'_> =
        members.filter_map(|(at, it)| Some((at, group(&known(it)?)?))).collect();
    let theirs = members.other(address, &group(&own)?)?;
    let theirs = known(&state.records[theirs])?;
    Some((own, theirs))
}
