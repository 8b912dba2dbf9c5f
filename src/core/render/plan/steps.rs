//! The steps of a plan in words: how many, how long their longest row is, and what the gates among them wait for.

use crate::engine::address::Address;
use crate::engine::plan::model::change::{Plan, Step, StepCall};
use crate::engine::topological::topological_order;
use crate::render::lines::{RenderedLine, Sign};
use crate::render::words::{count, duration, escape_control};

/// What is waited for on the way, in the order of the steps.
pub fn gates(plan: &Plan) -> Vec<RenderedLine> {
    let gates = plan.steps.iter().filter(|it| it.call.is_gate());
    let told = gates.map(|it| RenderedLine {
        sign: Sign::Aside,
        depth: 0,
        text: format!("{}: {}", escape_control(&it.address.to_string()), escape_control(&gate(it))),
        comment: None,
    });
    let undrained = plan.steps.iter().filter(|it| {
        let shift = it.shift.as_ref().filter(|it| it.ttl > 0 && !it.was.is_empty());
        !plan.lost.is_empty() && shift.is_some_and(|it| it.seconds == 0)
    });
    let undrained = undrained.map(|it| RenderedLine {
        sign: Sign::Aside,
        depth: 0,
        text: format!(
            "{}: no drain: its old target is lost and serves nobody, so nothing there is kept for users who come late",
            escape_control(&it.address.to_string())
        ),
        comment: None,
    });
    told.chain(undrained).collect()
}

/// One of the conditions that a resource itself sets; the later ones by their number, in the order of the layers.
pub fn condition(probe: usize) -> String {
    match probe {
        0 => "`gate` condition".into(),
        later => format!("`gate` condition number {}", later + 1),
    }
}

fn healthy_behind(holder: &Address, count: Option<&usize>) -> String {
    match count {
        None => format!("a healthy backend behind {holder}"),
        Some(count) => format!("{count} healthy backends behind {holder}"),
    }
}

fn gate(step: &Step) -> String {
    match &step.call {
        StepCall::Serving { of, probe, .. } if of.is_empty() => {
            format!("serving gate: wait until its own {} holds", condition(*probe))
        }
        StepCall::Serving { of, .. } if of[..] == [step.address.clone()] => {
            "serving gate: wait until it is healthy and takes traffic".into()
        }
        StepCall::Serving { of, serves, .. } => {
            let of: Vec<String> = of.iter().map(|it| healthy_behind(it, serves.get(it))).collect();
            format!("serving gate: wait for {}", of.join(", and "))
        }
        StepCall::Replication { from, back: false } => {
            format!(
                "replication gate: wait until an item written to {from} is read from {}",
                step.address
            )
        }
        StepCall::Replication { from, back: true } => {
            format!(
                "replication gate: wait until an item written to {} is read from {from}",
                step.address
            )
        }
        StepCall::Drain { until: Some(_), .. } => {
            "drain gate: wait until nobody is sent to the target that an earlier run left: DNS caches still keep it".into()
        }
        StepCall::Drain { seconds, .. } => {
            // Resolvers may answer what was before for one TTL; the second one is a margin.
            let (wait, ttl) = (duration(*seconds), duration(seconds / 2));
            format!(
                "drain gate: wait {wait} (twice the TTL of {ttl}, for which DNS caches keep an answer) until nobody is sent to the old target"
            )
        }
        other => other.word().into(),
    }
}

/// `#3 update or create: shop, after #1 #2`.
pub fn step(step: &Step) -> RenderedLine {
    let address = escape_control(&step.address.to_string());
    let named = |steps: &[usize]| steps.iter().map(|it| format!("#{it}")).collect::<Vec<_>>();
    let mut waits = named(&step.waits);
    let some =
        step.quorums.iter().map(|it| format!("{} of ({})", it.count, named(&it.of).join(" ")));
    waits.extend(some);
    let after =
        if waits.is_empty() { String::new() } else { format!(", after {}", waits.join(" ")) };
    let or = if is_or_create(step) { " or create" } else { "" };
    let of = if step.call.is_gate() || step.call.word() != step.call.phrase() { ":" } else { "" };
    let text = format!("#{} {}{or}{of} {address}{after}", step.id, step.call.phrase());
    RenderedLine { sign: Sign::Aside, depth: 0, text, comment: None }
}

/// `14 steps`.
pub fn steps(steps: &[Step]) -> String {
    let number = match steps.len() {
        0 => return "No steps".into(),
        number => count(number, "step"),
    };
    if !steps.iter().any(is_or_create) {
        return number;
    }
    format!("{number}. A resource to update that no longer exists by then is created anew.")
}

/// Whether what turns out to be gone is made again instead of being changed.
fn is_or_create(step: &Step) -> bool {
    matches!(step.call, StepCall::Update { or_create: true, .. })
}

/// For each step how many are in the longest row that ends with it; 0 for those of a cycle, and behind it.
pub fn depths(steps: &[Step]) -> Vec<usize> {
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    for (at, step) in steps.iter().enumerate() {
        for wait in step.before().filter(|it| *it < steps.len()) {
            dependents[wait].push(at);
        }
    }
    let mut depths = vec![0; steps.len()];
    for at in topological_order(steps.len(), |it| dependents[it].iter().copied()) {
        let depth = |it: &usize| depths.get(*it).copied();
        let whole = steps[at].waits.iter().filter_map(depth);
        // The quickest of them are enough.
        let quorums = steps[at].quorums.iter().filter_map(|it| {
            let mut of: Vec<usize> = it.of.iter().filter_map(depth).collect();
            of.sort_unstable();
            of.get(it.count.checked_sub(1)?).copied()
        });
        depths[at] = 1 + whole.chain(quorums).max().unwrap_or(0);
    }
    depths
}

#[cfg(test)]
mod tests {
    use super::gates;
    use crate::engine::address::Address;
    use crate::engine::plan::model::change::{LossDeclaration, Plan, Step, StepCall};
    use crate::engine::plan::model::step::TrafficShift;
    use crate::engine::plan::tests::sample::plan;

    fn step(id: usize, shift: Option<TrafficShift>, call: StepCall) -> Step {
        let (waits, quorums) = ((0..id).collect(), Vec::new());
        let (address, kind) = (Address::one("www"), "linode.domain_record".into());
        Step { id, address, kind, waits, quorums, lane: None, segment: id, weight: 1, shift, call }
    }

    fn told(plan: &Plan) -> String {
        gates(plan).into_iter().map(|it| it.text).collect::<Vec<_>>().join("\n")
    }

    /// What is waited for after users have moved, and where nothing is.
    #[test]
    fn gates_tell_how_long_a_drain_takes_and_why_there_is_none() {
        let was = vec![Address::one("lb")];
        let shift = |seconds| Some(TrafficShift { was: was.clone(), seconds, ttl: 300 });
        let mut planned = plan();
        planned.steps.push(step(0, shift(600), StepCall::Ready));
        planned.steps.push(step(1, None, StepCall::Drain { seconds: 600, until: None }));
        planned.steps.push(step(2, None, StepCall::Drain { seconds: 0, until: Some(1) }));
        let mut lost = plan();
        let fault_domain = "linode:us-east".to_owned();
        lost.lost.push(LossDeclaration { fault_domain, recorded: None });
        lost.steps.push(step(0, shift(0), StepCall::Ready));
        insta::assert_snapshot!([told(&planned), told(&lost)].join("\n--\n"), @r#"
        www: drain gate: wait 10 min (twice the TTL of 5 min, for which DNS caches keep an answer) until nobody is sent to the old target
        www: drain gate: wait until nobody is sent to the target that an earlier run left: DNS caches still keep it
        --
        www: no drain: its old target is lost and serves nobody, so nothing there is kept for users who come late
        "#);
    }
}
