//! What a pull request changes beside its plan: its layers beside those of the commit that it branched off.

use crate::engine::lang::merge::variables::RememberedVariables;
use crate::engine::lang::model::Stack;
use crate::engine::recovery::audit::compared::compared;
use crate::engine::recovery::audit::finding::Audit;
use crate::engine::recovery::audit::rules::INVALID;
use crate::ops::audit::{AuditQuestion, audit};
use crate::ops::error::OpsError;
use crate::ops::load::base_files::BaseFiles;
use crate::ops::load::layers;
use crate::ops::load::session::Session;
use crate::ops::load::sides::PlanRequest;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::stores::declared_at;
use crate::render::ci::findings::{audit_sentence, policies_sentence, state_sentence};
use crate::render::ci::mark::COMMIT_SHOWN;

/// Sentences for the comment. What keeps the base from being read is one of them, and stops nothing.
pub(super) async fn changes(
    session: &Session,
    ask: &PlanRequest,
    commit: &str,
    now: Option<&Audit>,
) -> Vec<String> {
    let place = &ask.place;
    let base = match BaseFiles::read(place, commit) {
        Ok(base) => base,
        Err(why) => return vec![format!("not compared with where it branched off: {why}")],
    };
    if !base.has(place) {
        let commit: String = base.commit.chars().take(COMMIT_SHOWN).collect();
        return vec![format!(
            "the commit `{commit}` has no such stack: all of it is new, its policies among it"
        )];
    }
    let there = base.place(place);
    let mut told = Vec::new();
    let is_sandbox = session.target.is_sandbox();
    let (before, after) = (kept_in(is_sandbox, &there, place), kept_in(is_sandbox, place, place));
    told.extend(state_sentence(&before, &after));
    let nothing = RememberedVariables::none();
    let stack = |place: &StackRef| -> Option<Stack> {
        let loaded = layers::layers(place, &[], &ask.given, nothing, &session.catalog);
        loaded.ok()?.stack
    };
    if let (Some(before), Some(after)) = (stack(&there), stack(place)) {
        told.extend(policies_sentence(&before, &after));
    }
    let Some(now) = now else { return told };
    match audited(session, ask, Some(there)).await {
        Ok(before) if before.findings().any(|it| *it.rule == INVALID) => {
            told.push(
                "its audit is not compared with the one before: the layers there have mistakes"
                    .to_owned(),
            );
        }
        Ok(before) => told.extend(audit_sentence(&compared(&before, now))),
        Err(why) => told.push(format!("its audit is not compared with the one before: {why}")),
    }
    told
}

/// What the audit says of layers, also of overlays that are not active.
pub(super) async fn audited(
    session: &Session,
    ask: &PlanRequest,
    layers: Option<StackRef>,
) -> Result<Audit, OpsError> {
    let question = AuditQuestion {
        place: ask.place.clone(),
        layers,
        to: Vec::new(),
        given: ask.given.clone(),
        settings: Vec::new(),
        here: None,
        online: false,
    };
    audit(session, &question).await
}

/// Where layers say that the state and its plans are; the folder of the stack where they say nothing.
pub(super) fn kept_in(is_sandbox: bool, layers: &StackRef, place: &StackRef) -> String {
    let (declared, _) = declared_at(layers, is_sandbox);
    let folder = || place.shown(&place.state(is_sandbox));
    declared.into_iter().next().map_or_else(folder, |(shown, _)| shown)
}

#[cfg(test)]
mod tests {
    use super::kept_in;
    use crate::ops::load::stack_ref::StackRef;
    use crate::render::ci::findings::state_sentence;

    #[test]
    fn kept_in_tells_stores_of_layers_and_the_folder_of_the_stack() {
        let root = tempfile::tempdir().unwrap();
        let place = |name: &str, state: &str| {
            let root = root.path().join(name);
            std::fs::create_dir_all(root.join("stacks/shop")).unwrap();
            let text = format!("stack: shop\n{state}");
            std::fs::write(root.join("stacks/shop/stack.yaml"), text).unwrap();
            StackRef { root, stack: "shop".into(), instance: None }
        };
        let before = place("before", "");
        let store = "state: { s3: { bucket: moved, prefix: lifeboat, region: eu-central-1 } }\n";
        let after = place("after", store);
        let (old, new) = (kept_in(false, &before, &after), kept_in(false, &after, &after));
        insta::assert_snapshot!(state_sentence(&old, &new).unwrap(), @"state: this change keeps the state in `s3://moved/lifeboat`, no longer in `state/shop`; this plan is made from what is in `s3://moved/lifeboat` now");
        // The sandbox has states of its own, whatever the layers say.
        assert_eq!(kept_in(true, &before, &after), kept_in(true, &after, &after));
    }
}
