//! Laws of what is remembered: what is written is what is read, damage is noticed, and a torn tail is a prefix.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

use crate::engine::address::Address;
use crate::engine::plan::tests::sample;
use crate::engine::retry::ErrorClass;
use crate::engine::state::codec::{
    CodecError, VERSION, decode_journal, decode_state, encode_entry, encode_state,
};
use crate::engine::state::journal::{
    JournalEntry, PendingOperation, StepFailure, StepOutcome, fold, replay,
};
use crate::engine::state::record::{
    Allowances, Deposed, Draining, Keep, LeftSite, LostDomain, MutatingCall, Phase, Record,
    RecordedFailure, RunRecord, ShiftRecord, State, SwitchRecord,
};
use crate::engine::value::{Attributes, LineageKey, Value};

fn attributes() -> impl Strategy<Value = Attributes> {
    btree_map("[a-z_.]{1,8}", sample::value(), 0..3)
}

fn record() -> impl Strategy<Value = Record> {
    let deposed =
        (sample::text(), attributes()).prop_map(|(id, attributes)| Deposed { id, attributes });
    (
        sample::text(),
        attributes(),
        attributes(),
        vec(sample::address(), 0..3),
        any::<(bool, bool, bool, bool, i64)>(),
        option::of(deposed),
        attributes(),
    )
        .prop_map(
            |(
                id,
                attributes,
                outputs,
                needs,
                (ready, protected, retained, leaving, since),
                deposed,
                tried,
            )| {
                Record {
                    kind: "linode.instance".into(),
                    id,
                    attributes,
                    outputs,
                    needs,
                    ready,
                    protected,
                    retained,
                    leaving,
                    since,
                    deposed,
                    tried,
                }
            },
        )
}

fn begun() -> impl Strategy<Value = PendingOperation> {
    (
        sample::address(),
        attributes(),
        vec(sample::text(), 0..3),
        option::of(sample::text()),
        any::<i64>(),
    )
        .prop_map(|(address, attributes, alike, mark, at)| PendingOperation {
            step: 3,
            address,
            kind: "linode.domain".into(),
            call: MutatingCall::Create,
            attributes,
            needs: vec![Address::one("zone")],
            alike,
            mark,
            at,
        })
}

fn outcome() -> impl Strategy<Value = StepOutcome> {
    prop_oneof![
        record().prop_map(|it| StepOutcome::Recorded(Box::new(it))),
        sample::address().prop_map(|from| StepOutcome::Moved { from }),
        sample::text().prop_map(StepOutcome::failed),
        (sample::text(), any::<bool>()).prop_map(|(why, is_known)| {
            let class = is_known.then_some(ErrorClass::Denied);
            StepOutcome::InDoubt(StepFailure { why, class })
        }),
        any::<bool>().prop_map(|it| if it { StepOutcome::Removed } else { StepOutcome::Waited }),
    ]
}

fn entry() -> impl Strategy<Value = JournalEntry> {
    prop_oneof![
        begun().prop_map(JournalEntry::Pending),
        (sample::address(), outcome(), any::<i64>()).prop_map(|(address, outcome, at)| {
            JournalEntry::Ended { address, step: 1, outcome, at }
        }),
        (sample::text(), sample::text())
            .prop_map(|(cloud, account)| JournalEntry::Bound { cloud, account }),
        (any::<u64>(), sample::text(), option::of(sample::text()), option::of(sample::text()))
            .prop_map(|(epoch, owner, command, preempted)| JournalEntry::Leased {
                epoch,
                owner,
                command,
                at: 4,
                preempted
            }),
        (sample::text(), sample::text(), any::<i64>(), any::<bool>(), option::of(attributes()))
            .prop_map(|(who, command, at, destroys, variables)| {
                let plan = "p".into();
                let home_variables = variables.clone().unwrap_or_default();
                JournalEntry::RunBegan {
                    who,
                    command,
                    at,
                    plan,
                    steps: usize::from(destroys) * 7,
                    destroys,
                    variables,
                    home_variables,
                }
            }),
        (sample::text(), any::<i64>()).prop_map(|(fault_domain, at)| JournalEntry::Recovered {
            fault_domain,
            at,
            who: "w".into()
        }),
        (draining(), any::<bool>(), directed()).prop_map(|(it, drains, directed)| {
            let until = drains.then_some(it.until);
            JournalEntry::Directed { address: it.address, was: it.was, until, directed }
        }),
        (sample::address(), sample::text(), any::<i64>())
            .prop_map(|(address, gate, at)| JournalEntry::Waiting { address, step: 2, gate, at }),
        (vec(sample::text(), 0..2), vec(lost(), 0..2), any::<i64>()).prop_map(
            |(from, lost, at)| JournalEntry::Switched {
                from,
                to: vec!["eu".into()],
                lost,
                variables: [("size".to_owned(), Value::Int(at))].into(),
                keep: Keep::Data,
                allowed: Allowances { delete: vec![Address::one("t")], ..Allowances::default() },
                last_good: Some(at),
                at,
                who: "w".into()
            }
        ),
        any::<i64>().prop_map(|at| JournalEntry::UsersMoved { at }),
        any::<i64>().prop_map(|at| JournalEntry::UsersAway { at }),
        (sample::address(), sample::text(), any::<i64>())
            .prop_map(|(address, because, at)| JournalEntry::GateSkipped { address, because, at }),
        (any::<bool>(), attributes(), any::<i64>()).prop_map(|(complete, outputs, at)| {
            JournalEntry::RunEnded {
                at,
                complete,
                overlays: vec!["eu".into()],
                variables: Attributes::new(),
                outputs,
            }
        }),
    ]
}

fn failure() -> RecordedFailure {
    let (why, class) = ("503".into(), Some(ErrorClass::Transient));
    RecordedFailure { call: Some(MutatingCall::Create), why, class, at: 7 }
}

/// A switch of which a create failed, and what came after that.
fn fails(then: &[JournalEntry]) -> State {
    let mut state = State::new("shop", None, "clouds", "l", LineageKey(vec![1]));
    let address = || Address::one("eu");
    let switched = JournalEntry::Switched {
        from: Vec::new(),
        to: vec!["a".into()],
        lost: Vec::new(),
        variables: BTreeMap::new(),
        keep: Keep::Nothing,
        allowed: Allowances::default(),
        last_good: None,
        at: 1,
        who: "w".into(),
    };
    let pending = JournalEntry::Pending(PendingOperation {
        step: 1,
        address: address(),
        kind: "linode.instance".into(),
        call: MutatingCall::Create,
        attributes: Attributes::default(),
        needs: Vec::new(),
        alike: Vec::new(),
        mark: None,
        at: 2,
    });
    let why = StepFailure { why: failure().why, class: failure().class };
    let outcome = StepOutcome::Failed(why);
    let ended = JournalEntry::Ended { address: address(), step: 1, outcome, at: 3 };
    for entry in [switched, pending, ended].iter().chain(then) {
        fold(&mut state, entry);
    }
    state
}

fn draining() -> impl Strategy<Value = Draining> {
    (sample::address(), vec(sample::address(), 0..3), any::<i64>())
        .prop_map(|(address, was, until)| Draining { address, was, until })
}

fn directed() -> impl Strategy<Value = ShiftRecord> {
    any::<(i64, u64)>().prop_map(|(at, dns_bound)| ShiftRecord { at, dns_bound })
}

fn lost() -> impl Strategy<Value = LostDomain> {
    (sample::text(), any::<i64>(), sample::text())
        .prop_map(|(fault_domain, since, by)| LostDomain { fault_domain, since, by })
}

fn founded() -> JournalEntry {
    JournalEntry::Founded {
        stack: "shop".into(),
        instance: Some("drill".into()),
        target: "sandbox".into(),
        lineage: "l".into(),
        key: LineageKey(vec![1, 2, 3]),
        overlays: vec!["eu".into()],
    }
}

fn state() -> impl Strategy<Value = State> {
    (
        btree_map(sample::address(), record(), 0..4),
        vec(begun(), 0..3),
        attributes(),
        any::<(u32, bool)>(),
    )
        .prop_map(|(records, begun, outputs, (serial, is_switching))| {
            let key = LineageKey(vec![7, 8]);
            let mut state = State::new("shop", None, "clouds", "lineage", key);
            state.serial = serial.into();
            state.records = records;
            state.pending = begun.into_iter().map(|it| (it.address.clone(), it)).collect();
            state.outputs = outputs;
            state.home = vec!["home".into()];
            if is_switching {
                state.phase =
                    if state.serial.is_multiple_of(2) { Phase::Switching } else { Phase::Degraded };
                let fault_domain = "linode:us-east".into();
                state.lost = vec![LostDomain { fault_domain, since: 5, by: "someone".into() }];
                let run = RunRecord { destroys: true, ..RunRecord::began("a", "apply", 1) };
                state.last_run = Some(run);
                state.destroyed = [Address::one("gone")].into();
                let from = vec!["home".into()];
                state.switch = Some(SwitchRecord {
                    under_loss: false,
                    moved: None,
                    from,
                    since: 4,
                    began: Some(2),
                    by: "someone".into(),
                    variables: [("size".to_owned(), Value::Int(2))].into(),
                    recovered: vec!["aws:us-east-1".into()],
                    keep: Keep::All,
                    allowed: Allowances { destroys: Some(4), ..Allowances::default() },
                    last_good: Some(3),
                    directed: vec![ShiftRecord { at: 6, dns_bound: 300 }],
                    turned: vec![LeftSite {
                        overlays: vec!["eu".into()],
                        variables: [("size".to_owned(), Value::Int(3))].into(),
                    }],
                    failures: [(Address::one("eu"), failure())].into(),
                });
                let was = vec![Address::one("lb")];
                state.draining =
                    vec![Draining { address: Address::one("shop"), was, until: serial.into() }];
            }
            state
        })
}

/// The journal's bytes.
fn written(entries: &[JournalEntry]) -> Vec<u8> {
    let lines = entries.iter().zip(1..).map(|(entry, at)| encode_entry(at, entry));
    lines.collect::<String>().into_bytes()
}

/// Files as lifeboat 0.1 wrote them, of an apply and a failover of the example: read and written again, they are the same
/// bytes. Who changes them on purpose needs a new version, and keeps these readable.
#[test]
fn decode_and_encode_keep_the_format_of_state_files() {
    let snapshot = include_str!("golden/failover.snapshot");
    let state = decode_state(snapshot.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(encode_state(&state)).unwrap(), snapshot);
    for journal in [include_str!("golden/apply.journal"), include_str!("golden/failover.journal")] {
        let (entries, whole) = decode_journal(journal.as_bytes()).unwrap();
        assert_eq!(whole, journal.len());
        let again: String = entries.iter().map(|(at, entry)| encode_entry(*at, entry)).collect();
        assert_eq!(again, journal);
    }
}

/// Home, on the way to `a`, turned to `b`, turned to `c`: where it began is known to the end.
#[test]
fn fold_remembers_where_a_preempted_switch_began() {
    let size = |it| -> BTreeMap<String, Value> { [("size".to_owned(), Value::Int(it))].into() };
    let names = |it: &str| it.split_terminator(' ').map(str::to_owned).collect::<Vec<_>>();
    let to = |from: &str, to: &str, at| JournalEntry::Switched {
        from: names(from),
        to: names(to),
        lost: Vec::new(),
        variables: size(at),
        keep: Keep::Nothing,
        allowed: Allowances::default(),
        last_good: None,
        at,
        who: "w".into(),
    };
    let mut state = State::new("shop", None, "sandbox", "l", LineageKey(vec![1]));
    let lost = |it: &str| LostDomain { fault_domain: it.into(), since: 0, by: "w".into() };
    (state.variables, state.lost) = (size(0), vec![lost("linode:us-east")]);
    for entry in [to("", "a", 1), to("a", "b", 2), to("b", "c", 3)] {
        fold(&mut state, &entry);
    }
    let switch = state.switching().unwrap();
    let left = |overlays, at| LeftSite { overlays: names(overlays), variables: size(at) };
    assert_eq!(switch.turned, [left("", 0), left("a", 1)]);
    assert_eq!(switch.left(), [left("", 0), left("a", 1), left("b", 2)]);
    assert_eq!(switch.recovered, ["linode:us-east"], "what one has recovered the next one repairs");
    // A further loss is the same switch; back to where it was is another one, and each is known once.
    fold(&mut state, &to("b", "c", 4));
    assert_eq!(state.switching().unwrap().turned.len(), 2);
    fold(&mut state, &to("c", "b", 5));
    fold(&mut state, &to("b", "c", 6));
    assert_eq!(state.switching().unwrap().left().len(), 4);
    // Its users have moved: it goes on, and where it began is still known. A further loss may move them again. The gates that
    // held them back are skipped no longer.
    let skip_gates = [(Address::one("shop"), "by hand".to_owned())].into();
    state.switch.as_mut().unwrap().allowed =
        Allowances { outage: true, skip_gates, ..Allowances::default() };
    fold(&mut state, &JournalEntry::UsersMoved { at: 7 });
    assert_eq!((state.switching(), state.phase), (None, Phase::Degraded));
    let allowed = &state.unfinished_switch().unwrap().allowed;
    assert!(allowed.outage && allowed.skip_gates.is_empty());
    assert_eq!(state.unfinished_switch().unwrap().left().len(), 4);
    // Somebody led them away: it is on its way again, and when they first were there is still known.
    fold(&mut state, &JournalEntry::UsersAway { at: 7 });
    assert_eq!(state.phase, Phase::Switching);
    fold(&mut state, &JournalEntry::UsersMoved { at: 8 });
    assert_eq!((state.phase, state.switch.as_ref().unwrap().moved), (Phase::Degraded, Some(7)));
    fold(&mut state, &to("b", "c", 8));
    assert_eq!(state.switching().unwrap().left().len(), 4);
    let ended = JournalEntry::RunEnded {
        at: 9,
        complete: true,
        overlays: names("c"),
        variables: size(6),
        outputs: Attributes::new(),
    };
    fold(&mut state, &ended);
    assert_eq!((state.unfinished_switch(), &state.active), (None, &names("c")));
    // Without a switch nobody was to move.
    fold(&mut state, &JournalEntry::UsersMoved { at: 10 });
    assert_eq!(state.phase, Phase::Settled);
}

proptest! {
    #[test]
    fn decode_state_reads_back_what_encode_state_wrote(state in state()) {
        prop_assert_eq!(decode_state(&encode_state(&state)).unwrap(), state);
    }

    #[test]
    fn decode_state_refuses_a_snapshot_that_is_not_whole(state in state(), at in any::<prop::sample::Index>(), bits in 1_u8..) {
        let whole = encode_state(&state);
        let at = at.index(whole.len() - 1);
        prop_assert!(decode_state(&whole[..at]).is_err(), "cut at {}", at);
        let mut damaged = whole;
        damaged[at] ^= bits;
        prop_assert!(decode_state(&damaged).is_err(), "damaged at {}", at);
    }

    #[test]
    fn decode_journal_reads_back_what_was_written(entries in vec(entry(), 0..6)) {
        let bytes = written(&entries);
        let (read, good) = decode_journal(&bytes).unwrap();
        prop_assert_eq!(good, bytes.len());
        prop_assert_eq!(read, (1..).zip(entries).collect::<Vec<_>>());
    }

    /// Wherever a crash cuts it, whole entries survive, and no other ones appear.
    #[test]
    fn decode_journal_reads_a_prefix_of_a_torn_journal(entries in vec(entry(), 1..5), at in any::<prop::sample::Index>()) {
        let bytes = written(&entries);
        let at = at.index(bytes.len());
        let (read, good) = decode_journal(&bytes[..at]).unwrap();
        prop_assert!(good <= at);
        let whole = bytes[..at].split(|it| *it == b'\n').count() - 1;
        let expected: Vec<(u64, JournalEntry)> = (1..).zip(entries).take(whole).collect();
        prop_assert_eq!(read, expected);
    }

    /// Damage before the last line is never taken for a torn tail.
    #[test]
    fn decode_journal_refuses_damage_before_the_last_line(first in entry(), second in entry(), at in any::<prop::sample::Index>(), bits in 1_u8..) {
        let mut bytes = encode_entry(1, &first).into_bytes();
        // The line's own end: without it two lines become one.
        let at = at.index(bytes.len() - 1);
        bytes[at] ^= bits;
        bytes.extend(encode_entry(2, &second).into_bytes());
        bytes.extend(encode_entry(3, &second).into_bytes());
        prop_assert!(decode_journal(&bytes).is_err(), "damaged at {}", at);
    }

    /// Replaying is a fold: where a snapshot is taken does not matter.
    #[test]
    fn replay_in_two_parts_is_replay_at_once(entries in vec(entry(), 0..8), at in any::<prop::sample::Index>()) {
        let play = |state, entries: &[(u64, JournalEntry)]| {
            entries.iter().fold(state, |state, (at, entry)| replay(state, *at, entry))
        };
        let all: Vec<(u64, JournalEntry)> = (1..).zip(std::iter::once(founded()).chain(entries)).collect();
        let (before, after) = all.split_at(1 + at.index(all.len()));
        let snapshot = play(None, before).unwrap();
        let again = decode_state(&encode_state(&snapshot)).unwrap();
        prop_assert_eq!(play(Some(again), after), play(None, &all));
    }
}

/// An older program goes on reading what it can understand, and says of the rest that it is newer.
#[test]
fn encode_writes_the_oldest_version_that_can_say_it() {
    let mut state = State::new("shop", None, "clouds", "l", LineageKey(vec![1]));
    let version = |bytes: &[u8], version: u32| {
        String::from_utf8_lossy(bytes).contains(&format!("{{\"version\":{version},"))
    };
    assert!(version(&encode_state(&state), 1));
    state.phase = Phase::Degraded;
    assert!(version(&encode_state(&state), VERSION));
    // Why a step failed is said in the newer one, and until it is tried again.
    let state = fails(&[]);
    let failures = |it: &State| it.switch.as_ref().unwrap().failures.clone();
    let failure = RecordedFailure { at: 3, ..failure() };
    assert_eq!(failures(&state), [(Address::one("eu"), failure)].into());
    assert!(version(&encode_state(&state), VERSION));
    let (address, step) = (Address::one("eu"), 1);
    let waiting = JournalEntry::Waiting { address, step, gate: "ready".into(), at: 4 };
    let again = fails(&[waiting]);
    assert!(failures(&again).is_empty() && version(&encode_state(&again), 1));
    let recovered =
        JournalEntry::Recovered { fault_domain: "aws:x".into(), at: 1, who: "w".into() };
    assert!(version(encode_entry(1, &recovered).as_bytes(), 1));
    assert!(version(encode_entry(1, &JournalEntry::UsersMoved { at: 1 }).as_bytes(), VERSION));
}

/// Journals from before leases could be taken over are written and read as they were.
#[test]
fn encode_entry_omits_what_a_lease_of_before_did_not_say() {
    let leased = JournalEntry::Leased {
        epoch: 7,
        owner: "ann".into(),
        command: None,
        at: 4,
        preempted: None,
    };
    let line = encode_entry(1, &leased);
    let expected = r#"{"leased":{"epoch":7,"owner":"ann","at":4}}}"#;
    assert!(line.trim_end().ends_with(expected), "{line}");
    assert_eq!(decode_journal(line.as_bytes()).unwrap().0, [(1, leased)]);
}

#[test]
fn decode_state_tells_a_newer_version_from_damage() {
    let state = State::new("shop", None, "clouds", "l", LineageKey(vec![1]));
    let text = String::from_utf8(encode_state(&state)).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    let json = first.split_once(' ').unwrap().1;
    let newer = json.replacen("\"version\":1", "\"version\":99", 1);
    assert_ne!(newer, json);
    let sum = <sha2::Sha256 as sha2::Digest>::digest(newer.as_bytes());
    let sum = data_encoding::HEXLOWER.encode(&sum[..4]);
    let text = format!("{sum} {newer}\n{rest}");
    assert_eq!(decode_state(text.as_bytes()), Err(CodecError::Newer(99)));
}
