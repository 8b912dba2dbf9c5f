//! Every combination of what may have become of two stores and a witness with who comes then: each has the one right outcome.

use crate::engine::state::copies::OtherCopy;
use crate::engine::state::stores_record::{NamedStores, StoreRole};
use crate::store::error::StoreError;
use crate::store::mirror::record::read_record;
use crate::store::mirror::tests::{HOME, Pair};
use crate::store::preempt::SwitchCommand;
use crate::store::tests::bound;

/// What has become of one of the two stores.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Alive,
    Behind,
    Unreachable,
    /// Unreachable, and switches declare its fault domain lost.
    Lost,
    /// The other one goes on without it, by a person's word.
    LeftBehind,
    /// The same, and it answers again.
    Back,
    /// The same, and a person has gone on in it as well.
    Diverged,
}

const FATES: [Fate; 7] = [
    Fate::Alive,
    Fate::Behind,
    Fate::Unreachable,
    Fate::Lost,
    Fate::LeftBehind,
    Fate::Back,
    Fate::Diverged,
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum WitnessFate {
    None,
    Alive,
    Unreachable,
}

/// Who comes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Visitor {
    Reader,
    Apply,
    Failover,
    /// As it is while nothing is declared lost any more; `watch` switches like that as well.
    Failback,
    Watch,
    /// A checkout that names the primary store alone.
    OldCommit,
}

const VISITORS: [Visitor; 6] = [
    Visitor::Reader,
    Visitor::Apply,
    Visitor::Failover,
    Visitor::Failback,
    Visitor::Watch,
    Visitor::OldCommit,
];

/// Stores in which that has happened, after two runs.
fn stores(role: StoreRole, fate: Fate, witness: WitnessFate) -> Pair {
    let it = match witness {
        WitnessFate::None => Pair::new(),
        WitnessFate::Alive | WitnessFate::Unreachable => Pair::with_witness(),
    };
    let it = it.founded();
    let victim = it.store_of(role);
    let older = victim.all();
    append(&it, "second");
    match fate {
        Fate::Alive => {}
        Fate::Behind => victim.put_back(&older),
        Fate::Unreachable | Fate::Lost => victim.silence(true),
        Fate::LeftBehind | Fate::Back | Fate::Diverged => go_on_without(&it, role, fate),
    }
    if let (WitnessFate::Unreachable, Some(store)) = (witness, &it.witness) {
        store.silence(true);
    }
    it
}

fn go_on_without(it: &Pair, role: StoreRole, fate: Fate) {
    let word = "state resolve shop --keep";
    it.store_of(role).silence(true);
    it.store().keep_copy(role.other(), "ann", word, 0).unwrap();
    append(it, "without");
    if fate == Fate::Back {
        it.store_of(role).silence(false);
    } else if fate == Fate::Diverged {
        // Nobody there sees the other one, nor a witness that could tell of it.
        let others = [Some(&it.primary), Some(&it.mirror), it.witness.as_ref()];
        others.into_iter().flatten().for_each(|it| it.silence(true));
        it.store_of(role).silence(false);
        it.store().keep_copy(role, "bob", word, 0).unwrap();
        others_again(it);
    }
}

fn others_again(it: &Pair) {
    let all = [Some(&it.primary), Some(&it.mirror), it.witness.as_ref()];
    all.into_iter().flatten().for_each(|it| it.silence(false));
}

fn append(it: &Pair, name: &str) {
    let mut lease = it.lease("ann").unwrap();
    lease.append(&[bound(name)]).unwrap();
    it.save(&mut lease);
}

/// What the visitor is told, or did.
fn outcome(it: &Pair, role: StoreRole, fate: Fate, visitor: Visitor) -> String {
    let domain = if role == StoreRole::Primary { HOME } else { "aws:us-west-2" };
    let lost: &[String] = if fate == Fate::Lost { &[domain.to_owned()] } else { &[] };
    let switch = |promotes| {
        let to = ["eu".to_owned()];
        let who = SwitchCommand {
            owner: "bob",
            command: "failover shop",
            at: 0,
            to: &to,
            lost,
            asks: false,
            promotes,
        };
        it.store().preempt(who, &mut |_| {}).map(|it| it.0)
    };
    let lease = match visitor {
        Visitor::Reader => return reads(it),
        Visitor::OldCommit => return old_commit(it),
        Visitor::Apply => it.lease("bob"),
        Visitor::Failover => switch(true),
        Visitor::Failback | Visitor::Watch => switch(false),
    };
    let mut lease = match lease {
        Err(why) => return refusal(&why),
        Ok(lease) => lease,
    };
    lease.append(&[bound("written")]).unwrap();
    it.save(&mut lease);
    drop(lease);
    assert!(it.accounts().iter().any(|it| it == "written"), "what was acknowledged is there");
    let has = |role| {
        it.store_of(role).all()["head"].contains(&format!("\"serial\":{}", it.state().serial))
    };
    match (has(StoreRole::Primary), has(StoreRole::Mirror)) {
        (true, true) => {
            it.are_equal();
            "both".into()
        }
        (true, false) => "primary".into(),
        (false, true) => "mirror".into(),
        (false, false) => panic!("it was written nowhere"),
    }
}

fn reads(it: &Pair) -> String {
    let store = it.store();
    let state = match store.load() {
        Err(why) => return refusal(&why),
        Ok(state) => state.unwrap(),
    };
    let standing = store.backend().standing().unwrap();
    let accounts = state.bound.len();
    let other = match &standing.other {
        OtherCopy::Same => "",
        OtherCopy::Behind(_) => ", other behind",
        OtherCopy::Forked => ", other left behind",
        OtherCopy::Unreachable(_) => ", other silent",
        other => panic!("{other:?}"),
    };
    let unseen = if standing.is_unseen() { " (5)" } else { "" };
    format!("{accounts} from {}{other}{unseen}", standing.believed.as_str())
}

/// It asks the primary store alone, and compares what that records with its own stack file.
fn old_commit(it: &Pair) -> String {
    let alone = NamedStores { primary: "p".into(), mirror: None, witness: None };
    match read_record(&*it.primary) {
        Err(why) if why.is_transient() => "silent (5)".into(),
        Err(why) => panic!("{why}"),
        Ok(record) if record.as_ref().is_some_and(|(it, _)| it.named != alone) => {
            "other stores (3)".into()
        }
        Ok(record) => panic!("{record:?}"),
    }
}

fn refusal(why: &StoreError) -> String {
    let StoreError::Copies { why, .. } = why else { panic!("{why}") };
    let exit = if why.is_silence() { 5 } else { 3 };
    let name = format!("{why:?}");
    let name = name.split([' ', '{']).next().unwrap_or_default();
    format!("{name} ({exit})")
}

#[test]
fn every_combination_has_one_outcome() {
    let mut lines = vec![format!("{VISITORS:?}")];
    for witness in [WitnessFate::None, WitnessFate::Alive, WitnessFate::Unreachable] {
        for role in StoreRole::BOTH {
            for fate in FATES {
                let told = VISITORS.map(|visitor| {
                    let it = stores(role, fate, witness);
                    outcome(&it, role, fate, visitor)
                });
                let who = role.as_str();
                lines.push(format!("{who} {fate:?}, witness {witness:?}: {}", told.join(" | ")));
            }
        }
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
[Reader, Apply, Failover, Failback, Watch, OldCommit]
primary Alive, witness None: 2 from primary | both | both | both | both | other stores (3)
primary Behind, witness None: 2 from mirror, other behind | both | both | both | both | other stores (3)
primary Unreachable, witness None: 2 from mirror, other silent (5) | NotAlone (5) | NotAlone (5) | NotAlone (5) | NotAlone (5) | silent (5)
primary Lost, witness None: 2 from mirror, other silent (5) | NotAlone (5) | mirror | NotAlone (5) | NotAlone (5) | silent (5)
primary LeftBehind, witness None: 3 from mirror, other silent | mirror | mirror | mirror | mirror | silent (5)
primary Back, witness None: 3 from mirror, other behind | both | both | both | both | other stores (3)
primary Diverged, witness None: Diverged (3) | Diverged (3) | Diverged (3) | Diverged (3) | Diverged (3) | other stores (3)
mirror Alive, witness None: 2 from primary | both | both | both | both | other stores (3)
mirror Behind, witness None: 2 from primary, other behind | both | both | both | both | other stores (3)
mirror Unreachable, witness None: 2 from primary, other silent (5) | NotAlone (5) | NotAlone (5) | NotAlone (5) | NotAlone (5) | other stores (3)
mirror Lost, witness None: 2 from primary, other silent (5) | NotAlone (5) | primary | NotAlone (5) | NotAlone (5) | other stores (3)
mirror LeftBehind, witness None: 3 from primary, other silent | primary | primary | primary | primary | other stores (3)
mirror Back, witness None: 3 from primary, other behind | both | both | both | both | other stores (3)
mirror Diverged, witness None: Diverged (3) | Diverged (3) | Diverged (3) | Diverged (3) | Diverged (3) | other stores (3)
primary Alive, witness Alive: 2 from primary | both | both | both | both | other stores (3)
primary Behind, witness Alive: 2 from mirror, other behind | both | both | both | both | other stores (3)
primary Unreachable, witness Alive: 2 from mirror, other silent (5) | mirror | mirror | mirror | mirror | silent (5)
primary Lost, witness Alive: 2 from mirror, other silent (5) | mirror | mirror | mirror | mirror | silent (5)
primary LeftBehind, witness Alive: 3 from mirror, other silent | mirror | mirror | mirror | mirror | silent (5)
primary Back, witness Alive: 3 from mirror, other behind | both | both | both | both | other stores (3)
primary Diverged, witness Alive: Diverged (3) | Diverged (3) | Diverged (3) | Diverged (3) | Diverged (3) | other stores (3)
mirror Alive, witness Alive: 2 from primary | both | both | both | both | other stores (3)
mirror Behind, witness Alive: 2 from primary, other behind | both | both | both | both | other stores (3)
mirror Unreachable, witness Alive: 2 from primary, other silent (5) | primary | primary | primary | primary | other stores (3)
mirror Lost, witness Alive: 2 from primary, other silent (5) | primary | primary | primary | primary | other stores (3)
mirror LeftBehind, witness Alive: 3 from primary, other silent | primary | primary | primary | primary | other stores (3)
mirror Back, witness Alive: 3 from primary, other behind | both | both | both | both | other stores (3)
mirror Diverged, witness Alive: Diverged (3) | Diverged (3) | Diverged (3) | Diverged (3) | Diverged (3) | other stores (3)
primary Alive, witness Unreachable: 2 from primary | both | both | both | both | other stores (3)
primary Behind, witness Unreachable: 2 from mirror, other behind | both | both | both | both | other stores (3)
primary Unreachable, witness Unreachable: 2 from mirror, other silent (5) | NotAlone (5) | NotAlone (5) | NotAlone (5) | NotAlone (5) | silent (5)
primary Lost, witness Unreachable: 2 from mirror, other silent (5) | NotAlone (5) | NotAlone (5) | NotAlone (5) | NotAlone (5) | silent (5)
primary LeftBehind, witness Unreachable: 3 from mirror, other silent | mirror | mirror | mirror | mirror | silent (5)
primary Back, witness Unreachable: 3 from mirror, other behind | both | both | both | both | other stores (3)
primary Diverged, witness Unreachable: Diverged (3) | Diverged (3) | Diverged (3) | Diverged (3) | Diverged (3) | other stores (3)
mirror Alive, witness Unreachable: 2 from primary | both | both | both | both | other stores (3)
mirror Behind, witness Unreachable: 2 from primary, other behind | both | both | both | both | other stores (3)
mirror Unreachable, witness Unreachable: 2 from primary, other silent (5) | NotAlone (5) | NotAlone (5) | NotAlone (5) | NotAlone (5) | other stores (3)
mirror Lost, witness Unreachable: 2 from primary, other silent (5) | NotAlone (5) | NotAlone (5) | NotAlone (5) | NotAlone (5) | other stores (3)
mirror LeftBehind, witness Unreachable: 3 from primary, other silent | primary | primary | primary | primary | other stores (3)
mirror Back, witness Unreachable: 3 from primary, other behind | both | both | both | both | other stores (3)
mirror Diverged, witness Unreachable: Diverged (3) | Diverged (3) | Diverged (3) | Diverged (3) | Diverged (3) | other stores (3)
"#);
}
