//! Heartbeats of groups: which member is written to, which is asked, and how far the data of a survivor is known to go.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;

use crate::cloud::error::ProviderError;
use crate::cloud::provider::{GroupHeartbeat, MemberRead};
use crate::engine::address::Address;
use crate::engine::fault_domain::FaultDomains;
use crate::engine::lang::model::Stack;
use crate::engine::plan::availability::replica_group::{GroupName, group_name};
use crate::engine::recovery::report::summary::SeenHeartbeat;
use crate::engine::schema::Kind;
use crate::engine::state::record::State;
use crate::engine::value::{Attributes, Value};
use crate::ops::load::session::Session;
use crate::ops::plan::make::Proposed;

/// How long the survivors are asked for their heartbeats after a failover, on the wall's clock. A guess, twice what a read takes at most:
/// the run is over, and its report waits for this.
const PATIENCE: Duration = Duration::from_secs(10);

/// A recorded member of a group.
#[derive(Debug, Clone)]
struct RecordedMember {
    address: Address,
    kind: Kind,
    attributes: Attributes,
    fault_domain: String,
    region: String,
    has_gate: bool,
}

impl RecordedMember {
    fn read(&self) -> MemberRead<'_> {
        MemberRead { kind: &self.kind, attributes: &self.attributes }
    }
}

/// A group with a replication gate.
#[derive(Debug, Clone)]
pub struct BeatingGroup {
    /// In the fault domain that is lost, or would be.
    writer: RecordedMember,
    /// Those that survive.
    readers: Vec<RecordedMember>,
}

impl BeatingGroup {
    /// The member that has the gate, by which people know the group.
    pub fn address(&self) -> &Address {
        let mut members = self.readers.iter().chain([&self.writer]);
        members.find(|it| it.has_gate).map_or(&self.writer.address, |it| &it.address)
    }

    /// Where heartbeats are written.
    pub fn fault_domain(&self) -> &str {
        &self.writer.fault_domain
    }

    pub async fn beat(
        &self,
        session: &Session,
        at: i64,
        every: Duration,
    ) -> Result<(), ProviderError> {
        let (region, every) = (self.writer.region.clone(), every.as_secs());
        let heartbeat = GroupHeartbeat { at, region, every };
        session.provider.beat(self.writer.read(), &heartbeat).await
    }

    /// The newest heartbeat of the lost member at any that survives.
    async fn last(&self, session: &Session) -> Result<Option<GroupHeartbeat>, ProviderError> {
        let asked = self.readers.iter().map(|it| session.provider.last_beat(it.read()));
        let (found, failed): (Vec<_>, Vec<_>) =
            join_all(asked).await.into_iter().partition(Result::is_ok);
        let found = found.into_iter().flatten().flatten();
        // What a survivor wrote into itself says nothing of what has come to it.
        let newest = found.filter(|it| it.region == self.writer.region).max_by_key(|it| it.at);
        match (newest, failed.into_iter().next()) {
            (None, Some(Err(why))) => Err(why),
            (newest, _) => Ok(newest),
        }
    }
}

/// The recorded groups in which these layers declare a replication gate, as they are where these fault domains are lost.
pub fn groups(
    session: &Session,
    stack: &Stack,
    state: &State,
    lost: &[String],
) -> Vec<BeatingGroup> {
    let domains = FaultDomains::new(&session.catalog, Some(state));
    let mut groups: BTreeMap<GroupName, Vec<RecordedMember>> = BTreeMap::new();
    for (address, record) in &state.records {
        let Some(kind) = session.catalog.get(&record.kind) else { continue };
        let attributes = record.object();
        let region = kind.group.as_ref().and_then(|it| attributes.get(&it.region));
        let region = region.and_then(Value::as_text).map(str::to_owned);
        let (Some(group), Some(region)) = (group_name(kind, &attributes), region) else { continue };
        let declared = stack.instances.get(address);
        groups.entry(group).or_default().push(RecordedMember {
            address: address.clone(),
            kind: kind.clone(),
            attributes,
            fault_domain: domains.of_record(address).unwrap_or_default().to_owned(),
            region,
            has_gate: declared.is_some_and(|it| it.resource.gates.replication().is_some()),
        });
    }
    groups.into_values().filter_map(|it| group(it, lost)).collect()
}

/// Who has the gate is written for, who is lost is written to; where nobody is, it is who has no gate.
fn group(mut members: Vec<RecordedMember>, lost: &[String]) -> Option<BeatingGroup> {
    if members.len() < 2 || !members.iter().any(|it| it.has_gate) {
        return None;
    }
    let is_lost = |it: &RecordedMember| lost.contains(&it.fault_domain);
    let at = members.iter().position(&is_lost);
    let at = at.or_else(|| members.iter().position(|it| !it.has_gate)).unwrap_or_default();
    let writer = members.remove(at);
    members.retain(|it| !is_lost(it));
    Some(BeatingGroup { writer, readers: members })
}

/// The groups of which a plan declares a member lost.
pub fn at_risk(session: &Session, proposed: &Proposed) -> Vec<BeatingGroup> {
    let lost: Vec<String> = proposed.plan.lost.iter().map(|it| it.fault_domain.clone()).collect();
    let Some(state) = proposed.state.as_ref().filter(|_| !lost.is_empty()) else {
        return Vec::new();
    };
    let mut groups = groups(session, &proposed.desired.stack, state, &lost);
    groups.retain(|it| lost.contains(&it.writer.fault_domain));
    groups
}

/// What their survivors have, and why one could not be asked.
pub async fn seen(
    session: &Session,
    groups: &[BeatingGroup],
) -> (Vec<SeenHeartbeat>, Vec<(Address, String)>) {
    let mut failed = Vec::new();
    let asked = groups.iter().map(|it| tokio::time::timeout(PATIENCE, it.last(session)));
    let answers = join_all(asked).await;
    let seen = groups.iter().zip(answers).map(|(group, answer)| {
        let address = group.address().clone();
        let found = match answer {
            Ok(Ok(found)) => found,
            Ok(Err(why)) => {
                failed.push((address.clone(), why.to_string()));
                None
            }
            Err(_) => {
                let why = format!("no answer within {} s", PATIENCE.as_secs());
                failed.push((address.clone(), why));
                None
            }
        };
        let every = found.as_ref().map_or(0, |it| it.every);
        SeenHeartbeat { address, at: found.map(|it| it.at), every }
    });
    let seen = seen.collect();
    (seen, failed)
}
