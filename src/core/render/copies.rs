//! How the two copies of a state stand, for people: in a line of `status`, and as a note beside everything else.

use crate::engine::state::copies::{CopyStanding, OtherCopy};
use crate::engine::state::stores_record::{ActiveStores, AloneReason};
use crate::render::words::count;

/// What is said of the copy that is not believed, behind its name.
pub fn other_copy(standing: &CopyStanding) -> String {
    match &standing.other {
        OtherCopy::Same => "up to date".into(),
        OtherCopy::Behind(0) => "one snapshot behind".into(),
        OtherCopy::Behind(entries) => {
            let entries = usize::try_from(*entries).unwrap_or(usize::MAX);
            format!("{} behind", count(entries, "journal entry"))
        }
        OtherCopy::Forked => {
            "has journal entries that are not believed; the next run sets them aside".into()
        }
        OtherCopy::Suspended => "suspended".into(),
        OtherCopy::Damaged(_) => {
            "damaged; the next run sets it aside and copies the state there again".into()
        }
        OtherCopy::Unknowable(_) => "damaged, and may have gone on alone".into(),
        OtherCopy::Unreachable(_) => "cannot be reached".into(),
        OtherCopy::Lost(domain) => format!("not asked, since {domain} is declared lost"),
    }
}

/// Why the state goes on in one store alone, if it does.
fn why_alone(standing: &CopyStanding) -> Option<&'static str> {
    match &standing.record.as_ref()?.active {
        ActiveStores::All => None,
        ActiveStores::Alone { reason, .. } => Some(match reason {
            AloneReason::Suspended => "somebody suspended the mirror",
            AloneReason::Loss(_) => "the fault domain of the other one was declared lost",
            AloneReason::Majority => "it and the witness are two of three",
            AloneReason::Kept => "somebody decided so",
            AloneReason::Migrated => "the other one was added and is not caught up yet",
        }),
    }
}

/// A note for whoever reads something else of the state; `None` where both copies are the same.
pub fn note(standing: &CopyStanding) -> Option<String> {
    let (believed, other) = (standing.believed, standing.believed.other());
    let alone = why_alone(standing);
    Some(match (&standing.other, alone) {
        (OtherCopy::Same, None) if standing.is_witness_silent => {
            "the witness of the state's stores cannot be reached: until it answers, the state goes on in both stores or not at all".into()
        }
        (OtherCopy::Same, None) => return None,
        (OtherCopy::Unreachable(why), None) => format!(
            "{other} of the state cannot be reached, and nobody declared it lost: {why}; what is shown is from {believed} alone, and may be older than what the other one has"
        ),
        (OtherCopy::Damaged(why) | OtherCopy::Unknowable(why), _) => {
            let alone = alone.map_or(String::new(), |it| {
                format!("; the state goes on in {believed} alone, since {it}")
            });
            format!("{other} of the state: {}: {why}{alone}", other_copy(standing))
        }
        (_, Some(alone)) => {
            format!(
                "the state goes on in {believed} alone, since {alone}; {other}: {}",
                other_copy(standing)
            )
        }
        (_, None) => format!("{other} of the state: {}", other_copy(standing)),
    })
}

#[cfg(test)]
mod tests {
    use super::{note, other_copy};
    use crate::engine::state::copies::{CopyStanding, OtherCopy};
    use crate::engine::state::stores_record::{
        ActiveStores, AloneReason, NamedStores, StoreRole, StoresRecord,
    };

    #[test]
    fn note_and_other_copy_of_each_standing() {
        let record = |reason| StoresRecord {
            generation: 2,
            id: "r2".into(),
            before: Vec::new(),
            named: NamedStores { primary: "p".into(), mirror: Some("m".into()), witness: None },
            active: ActiveStores::Alone { role: StoreRole::Mirror, reason, after: 4 },
            by: "ann".into(),
            at: 0,
        };
        let rows = [
            (OtherCopy::Same, None),
            (OtherCopy::Behind(0), None),
            (OtherCopy::Behind(1), None),
            (OtherCopy::Behind(7), Some(AloneReason::Kept)),
            (OtherCopy::Forked, Some(AloneReason::Majority)),
            (OtherCopy::Suspended, Some(AloneReason::Suspended)),
            (OtherCopy::Damaged("head cannot be read".into()), None),
            (OtherCopy::Damaged("head cannot be read".into()), Some(AloneReason::Kept)),
            (OtherCopy::Unknowable("stores cannot be read".into()), None),
            (OtherCopy::Unreachable("timed out".into()), None),
            (OtherCopy::Unreachable("timed out".into()), Some(AloneReason::Majority)),
            (
                OtherCopy::Lost("aws:us-east-1".into()),
                Some(AloneReason::Loss(vec!["aws:us-east-1".into()])),
            ),
            (OtherCopy::Same, Some(AloneReason::Migrated)),
        ];
        let told = rows.map(|(other, reason)| {
            let record = reason.map(record);
            let is_witness_silent = false;
            let standing =
                CopyStanding { believed: StoreRole::Mirror, other, record, is_witness_silent };
            let unseen = if standing.is_unseen() { " (5)" } else { "" };
            format!(
                "{}{unseen}\n    {}",
                other_copy(&standing),
                note(&standing).unwrap_or_default()
            )
        });
        insta::assert_snapshot!(told.join("\n"), @r#"
up to date
    
one snapshot behind
    the primary store of the state: one snapshot behind
1 journal entry behind
    the primary store of the state: 1 journal entry behind
7 journal entries behind
    the state goes on in the mirror store alone, since somebody decided so; the primary store: 7 journal entries behind
has journal entries that are not believed; the next run sets them aside
    the state goes on in the mirror store alone, since it and the witness are two of three; the primary store: has journal entries that are not believed; the next run sets them aside
suspended
    the state goes on in the mirror store alone, since somebody suspended the mirror; the primary store: suspended
damaged; the next run sets it aside and copies the state there again
    the primary store of the state: damaged; the next run sets it aside and copies the state there again: head cannot be read
damaged; the next run sets it aside and copies the state there again
    the primary store of the state: damaged; the next run sets it aside and copies the state there again: head cannot be read; the state goes on in the mirror store alone, since somebody decided so
damaged, and may have gone on alone (5)
    the primary store of the state: damaged, and may have gone on alone: stores cannot be read
cannot be reached (5)
    the primary store of the state cannot be reached, and nobody declared it lost: timed out; what is shown is from the mirror store alone, and may be older than what the other one has
cannot be reached
    the state goes on in the mirror store alone, since it and the witness are two of three; the primary store: cannot be reached
not asked, since aws:us-east-1 is declared lost
    the state goes on in the mirror store alone, since the fault domain of the other one was declared lost; the primary store: not asked, since aws:us-east-1 is declared lost
up to date
    the state goes on in the mirror store alone, since the other one was added and is not caught up yet; the primary store: up to date
"#);
    }
}
