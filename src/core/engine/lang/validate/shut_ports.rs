//! Conditions that knock where nobody gets in: the filter in front of what they try shuts their port to everybody.

use std::net::IpAddr;

use crate::engine::address::Address;
use crate::engine::lang::check::probe_address;
use crate::engine::lang::model::{Gate, GateProbe, Instance};
use crate::engine::lang::resolve::{Resolved, term};
use crate::engine::lang::validate::attribute_reads::{Around, Looks, Seen};
use crate::engine::lang::validate::sample_values::{Likely, sampled};
use crate::engine::lang::view::ScopeView;
use crate::engine::packets::Filter;
use crate::engine::schema::Kind;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;

/// What a condition knocks at.
struct Knock {
    owner: Address,
    host: IpAddr,
    port: u16,
}

/// Tells every condition of an instance that can never hold because of a filter of this stack.
pub fn shut_ports(
    kind: &Kind,
    instance: &Instance,
    resolved: &Resolved,
    around: Around<'_>,
    out: &mut Vec<Diagnostic>,
) {
    let resource = &instance.resource;
    let ready = resource.ready.as_deref().map(|it| ("ready", it));
    for (word, gate) in ready.into_iter().chain(resource.gates.0.iter().map(|it| ("gate", it))) {
        let Some(knock) = knock_of(gate, kind, instance, resolved, around) else { continue };
        let Some(behind) = around.stack.instances.get(&knock.owner) else { continue };
        let Some(wall) = shuts(&knock, behind, around) else { continue };
        let at = gate.target().map_or(gate.span, |it| it.span);
        let Knock { owner, port, .. } = &knock;
        out.push(
            Diagnostic::error(DiagnosticCode::ShutPort, "This check can never pass")
                .at(at, format!("`{word}` checks port {port} of `{owner}`, but `{}` blocks all traffic to it", wall.address))
                .at(wall.resource.span, "the firewall")
                .help(format!("let in where lifeboat runs, with a rule that accepts TCP on {port}; or try a port that is open")),
        );
    }
}

/// Where a condition knocks, if that is one address of one object.
fn knock_of(
    gate: &Gate,
    kind: &Kind,
    instance: &Instance,
    resolved: &Resolved,
    around: Around<'_>,
) -> Option<Knock> {
    let own = sampled(kind, &resolved.attributes);
    let likely = Likely(around);
    let view = ScopeView { own: Some(&own), ..Around { scope: &likely, ..around }.view(instance) };
    let looks = Looks::new(&view);
    let mut wrongs = Vec::new();
    let value = term(gate.target()?, &looks, &mut wrongs);
    let text = value.as_text().filter(|_| wrongs.is_empty())?;
    let (host, port) = host_and_port(&gate.probe, text)?;
    let is_address = |(address, member): &Seen| {
        let of = around.stack.instances.get(address)?;
        let kind = around.catalog.get(&of.resource.kind)?;
        let like = kind.attribute(member.as_ref()?)?.like.as_ref()?;
        (like.parse() == Ok(host)).then(|| address.clone())
    };
    let mut owners: Vec<Address> = looks.seen().iter().filter_map(is_address).collect();
    owners.dedup();
    let [owner] = owners.as_slice() else { return None };
    Some(Knock { owner: owner.clone(), host, port })
}

fn host_and_port(probe: &GateProbe, text: &str) -> Option<(IpAddr, u16)> {
    let (host, port) = match probe {
        GateProbe::Tcp(_) => probe_address::address(text).ok()?,
        GateProbe::Http { .. } => probe_address::host_of_page(text)?,
        GateProbe::Health | GateProbe::NoHealth | GateProbe::Replication => return None,
    };
    Some((host.parse().ok()?, port))
}

/// The filter that lets nobody in there.
fn shuts<'a>(at: &Knock, behind: &'a Instance, around: Around<'a>) -> Option<&'a Instance> {
    let kind = around.catalog.get(&behind.resource.kind)?;
    let mut walls = kind.references().filter_map(|(name, _)| around.leads_to(behind, name));
    walls.find(|wall| keeps_all_out(at, wall, around).unwrap_or(false))
}

/// `None`: it is no filter, or not known yet.
fn keeps_all_out(at: &Knock, wall: &Instance, around: Around<'_>) -> Option<bool> {
    let kind = around.catalog.get(&wall.resource.kind)?;
    let packets = kind.packets.as_ref()?;
    let has = around.scope.object(&wall.address)?;
    let is_known =
        |name: &String| !has.get(name).is_some_and(|it| it.has_open() || it.has_secret());
    if ![&packets.rules, &packets.policy, &packets.off.0].into_iter().all(is_known) {
        return None;
    }
    let filter = Filter::of(kind, |name| has.get(name))?;
    Some(filter.keeps_all_out("TCP", at.port, at.host))
}
