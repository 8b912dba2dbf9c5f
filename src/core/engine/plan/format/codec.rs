//! The only JSON of a plan: what `plan --out` writes and `--format json` prints.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::engine::plan::diff::attributes::seal;
use crate::engine::plan::format::same_as_planned::discord;
use crate::engine::plan::model::change::{Plan, Step, StepCall, StepQuorum, Summary};
use crate::engine::plan::model::forecast::Forecast;
use crate::engine::plan::model::plan_cost::PlanCost;
use crate::engine::text::plain::json as escaped;
use crate::engine::value::{Attributes, LineageKey, Value};

/// What this program writes. A newer minor version only adds what an older reader may ignore; a newer major version is refused.
/// Major version 1 has other names for some fields and is still read: `instance` for `workspace`, `thaws` for `recovered`, `held`
/// for `deferred`, `unseen` and `unseen_reason` for `unknown` and `unknown_reason`, `left_behind` for `orphaned`, `directs` for
/// `shift`, and in the forecast `directed` for `shifted`.
pub const FORMAT_VERSION: &str = "2.0";
const MAJORS: [&str; 2] = ["1", "2"];

/// When, by whom and with what a plan was made: outside its digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanEnvelope {
    /// In milliseconds since the Unix epoch.
    pub made_at: i64,
    /// Who made it.
    pub by: String,
    /// The version of the lifeboat that wrote it.
    pub lifeboat: String,
    /// Of a switch: how long it is expected to take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
    /// What its changes cost, where they change anything that is billed. Since format 2.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<PlanCost>,
}

/// Why a text is not a plan that may be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("it is not a plan: {0}; create one with `plan --out`")]
    NotAPlan(String),
    #[error(
        "its format is version {0}, but this version of lifeboat reads {read}.x; use the version that created it, or plan again with this one",
        read = MAJORS.join(".x and ")
    )]
    Format(String),
    #[error(
        "it was edited after it was created: its digest is {said}, but its content has {found}; change the stack and plan again"
    )]
    Edited { said: String, found: String },
    #[error(
        "its summary does not match its changes; it was edited after it was created, so plan again"
    )]
    Summary,
    #[error(
        "its steps do not match its changes: {0}; it was edited after it was created, so plan again"
    )]
    Discord(String),
    #[error(
        "it is damaged: step {0} is not in its place, waits for a step that is not there, or counts one twice; plan again"
    )]
    Step(usize),
}

#[derive(Deserialize)]
struct DocumentVersion {
    format_version: String,
}

#[derive(Serialize)]
struct Written<'a> {
    format_version: &'a str,
    /// `sha256:` of `plan` as compact JSON: everything but the envelope and the summary.
    digest: String,
    envelope: &'a PlanEnvelope,
    summary: PlanCounts,
    plan: &'a Plan,
}

/// Counts for readers; decoding compares them with the changes.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct PlanCounts {
    #[serde(flatten)]
    changes: Summary,
    refusals: usize,
    steps: usize,
}

impl PlanCounts {
    fn of(plan: &Plan) -> Self {
        let (refusals, steps) = (plan.refusals().count(), plan.steps.len());
        Self { changes: plan.summary(), refusals, steps }
    }
}

#[derive(Deserialize)]
struct PlanRead<'a> {
    digest: String,
    envelope: PlanEnvelope,
    summary: PlanCounts,
    #[serde(borrow)]
    plan: &'a RawValue,
}

/// Pretty JSON in a stable order. The plan must be [`sealed`]: encoding a secret is a bug.
pub fn encode(plan: &Plan, envelope: &PlanEnvelope) -> String {
    assert!(is_sealed(plan), "a plan is sealed before it is encoded");
    let written = Written {
        format_version: FORMAT_VERSION,
        digest: plan_digest(plan),
        envelope,
        summary: PlanCounts::of(plan),
        plan,
    };
    escaped(&serde_json::to_string_pretty(&written).expect("plain data serialises")) + "\n"
}

/// The plan of a text that [`encode`] made and nobody edited. Its digest has no key: who edits a plan can make a new one, so
/// it is also seen that it runs what it shows.
pub fn decode(text: &str) -> Result<(Plan, PlanEnvelope), WireError> {
    let (plan, envelope) = parse(text)?;
    match discord(&plan) {
        Some(why) => Err(WireError::Discord(why)),
        None => Ok((plan, envelope)),
    }
}

fn parse(text: &str) -> Result<(Plan, PlanEnvelope), WireError> {
    let not_a_plan = |why: serde_json::Error| WireError::NotAPlan(why.to_string());
    let version: DocumentVersion = serde_json::from_str(text).map_err(not_a_plan)?;
    if !version.format_version.split('.').next().is_some_and(|it| MAJORS.contains(&it)) {
        return Err(WireError::Format(version.format_version));
    }
    let read: PlanRead<'_> = serde_json::from_str(text).map_err(not_a_plan)?;
    let found = digest(&compact(read.plan.get()));
    if found != read.digest {
        return Err(WireError::Edited { said: read.digest, found });
    }
    let plan: Plan = serde_json::from_str(read.plan.get()).map_err(not_a_plan)?;
    // Schedules index steps by their ids.
    let count = plan.steps.len();
    let is_astray = |step: &Step| {
        // One that is named twice would count twice.
        let never = |it: &StepQuorum| {
            let distinct: BTreeSet<usize> = it.of.iter().copied().collect();
            it.count > it.of.len() || distinct.len() < it.of.len()
        };
        step.before().any(|it| it >= count || it == step.id) || step.quorums.iter().any(never)
    };
    let mut steps = plan.steps.iter().enumerate();
    if let Some((_, step)) = steps.find(|(at, it)| it.id != *at || is_astray(it)) {
        return Err(WireError::Step(step.id));
    }
    if read.summary != PlanCounts::of(&plan) {
        return Err(WireError::Summary);
    }
    Ok((plan, read.envelope))
}

/// `sha256:` of the canonical plan: the same for equal plans, whoever made them and when.
pub fn plan_digest(plan: &Plan) -> String {
    let json = serde_json::to_string(plan).expect("plain data serialises");
    digest(&escaped(&json))
}

/// `sha256:` of what a plan is made from, however far the state is: layers, files, variables that are no secrets, kinds, the program,
/// and the cloud. Plans of different commits agree in it if nothing differs that the stack reads.
pub fn inputs_digest(plan: &Plan) -> String {
    let it = &plan.bindings;
    // What stands for a secret belongs to one state; other values are written as a bare digest.
    let is_digest = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_hexdigit());
    let plain = |(_, it): &(&String, &String)| is_digest(it);
    let variables: Vec<(&String, &String)> = it.variables.iter().filter(plain).collect();
    let inputs = (
        (&plan.stack, &plan.instance, &plan.overlays),
        (&it.version, &it.kinds, &it.files, variables),
        (&it.target, it.intent),
    );
    digest(&serde_json::to_string(&inputs).expect("plain data serialises"))
}

fn digest(text: &str) -> String {
    format!("sha256:{}", data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes())))
}

/// The plan with every secret replaced by its fingerprint; without a key, by an empty one.
#[must_use]
pub fn sealed(plan: &Plan, key: Option<&LineageKey>) -> Plan {
    let mut plan = plan.clone();
    for value in values(&mut plan) {
        *value = seal(value, key);
    }
    for attributes in calls(&mut plan) {
        for value in attributes.values_mut() {
            *value = seal(value, key);
        }
    }
    plan
}

fn values(plan: &mut Plan) -> impl Iterator<Item = &mut Value> {
    let changes = plan.changes.iter_mut().flat_map(|it| &mut it.attributes);
    let drifted = plan.drift.iter_mut().flat_map(|it| &mut it.attributes);
    let outputs = plan.outputs.iter_mut().flat_map(|it| [&mut it.before, &mut it.after]);
    let of_tasks = plan.tasks.iter_mut().flat_map(|it| it.spec.parts_mut());
    changes
        .flat_map(|it| [&mut it.before, &mut it.after])
        .chain(of_tasks)
        .chain(drifted.flat_map(|it| [&mut it.recorded, &mut it.observed]))
        .chain(outputs)
}

fn calls(plan: &mut Plan) -> impl Iterator<Item = &mut Attributes> {
    plan.steps.iter_mut().filter_map(|it| match &mut it.call {
        StepCall::Create { attributes, .. } | StepCall::Update { attributes, .. } => {
            Some(attributes)
        }
        _ => None,
    })
}

fn is_sealed(plan: &Plan) -> bool {
    fn holds(value: &Value) -> bool {
        match value {
            Value::Secret(_) => true,
            Value::List(items) => items.iter().any(holds),
            Value::Map(map) => map.values().any(holds),
            _ => false,
        }
    }
    let mut plan = plan.clone();
    !values(&mut plan).any(|it| holds(it))
        && !calls(&mut plan).flat_map(|it| it.values()).any(holds)
}

/// JSON without the white space between its tokens.
fn compact(json: &str) -> String {
    let mut compact = String::with_capacity(json.len());
    let (mut inside, mut after_backslash) = (false, false);
    for it in json.chars() {
        if inside || !it.is_ascii_whitespace() {
            compact.push(it);
        }
        if it == '"' && !after_backslash {
            inside = !inside;
        }
        after_backslash = inside && it == '\\' && !after_backslash;
    }
    compact
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

    use super::{
        FORMAT_VERSION, PlanEnvelope, PlanRead, WireError, compact, decode, digest, encode,
        inputs_digest, parse, plan_digest, sealed,
    };
    use crate::engine::plan::model::change::{Plan, StepCall, StepQuorum};
    use crate::engine::plan::model::forecast::{ExpectedTime, Forecast};
    use crate::engine::plan::tests::sample::{CREATE, any_plan, change, plan};
    use crate::engine::text::plain::is_invisible;
    use crate::engine::value::{Attributes, LineageKey, Secret, Value};

    fn envelope() -> PlanEnvelope {
        let forecast = Forecast {
            directed: Some(ExpectedTime { usual: 130, dns_bound: 300 }),
            whole: 800,
            longest: 180,
            steps: 10,
            measured: 8,
            samples: 12,
        };
        PlanEnvelope {
            made_at: 1_790_000_000_000,
            by: "ci@host".into(),
            lifeboat: "0.1.0".into(),
            forecast: Some(forecast),
            cost: None,
        }
    }

    fn schema() -> &'static jsonschema::Validator {
        static SCHEMA: std::sync::LazyLock<jsonschema::Validator> =
            std::sync::LazyLock::new(|| {
                let text = include_str!("../../../../../docs/schemas/plan.json");
                jsonschema::validator_for(&serde_json::from_str(text).unwrap()).unwrap()
            });
        &SCHEMA
    }

    fn secret() -> Value {
        Value::Secret(Secret::new("hunter2".into()))
    }

    fn secretive() -> Plan {
        let change = change("web", "linode.instance", CREATE, "new").with(
            "root_pass",
            Value::Null,
            secret(),
        );
        let mut plan = plan().of(vec![change]);
        let users = Value::List(vec![secret()]);
        let attributes =
            Attributes::from([("users".into(), users), ("root_pass".into(), secret())]);
        plan.steps[0].call = StepCall::Create { attributes, label: None };
        plan
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn encode_writes_what_the_schema_in_docs_describes(mut plan in any_plan()) {
            plan.bindings.target = "sandbox".into();
            let document = serde_json::from_str(&encode(&plan, &envelope())).unwrap();
            let wrong: Vec<String> = schema().iter_errors(&document).map(|it| it.to_string()).collect();
            prop_assert!(wrong.is_empty(), "{wrong:?}");
        }

        #[test]
        fn decode_reads_back_what_encode_wrote(plan in any_plan()) {
            let text = encode(&plan, &envelope());
            prop_assert!(!text.contains(|it| is_invisible(it) && it != '\n'));
            let (decoded, said) = parse(&text).unwrap();
            prop_assert_eq!(plan_digest(&decoded), plan_digest(&plan));
            prop_assert_eq!(decoded, plan);
            prop_assert_eq!(said, envelope());
        }
    }

    #[test]
    fn inputs_digest_is_of_what_was_read_and_not_of_the_state() {
        let mut plan = plan().of(Vec::new());
        plan.bindings.variables.insert("size".into(), "0f".into());
        plan.bindings.variables.insert("password".into(), String::new());
        let read = inputs_digest(&plan);
        // A state knows the secret, and has moved on.
        plan.bindings.variables.insert("password".into(), "\"sealed:ab\"".into());
        plan.bindings.serial += 1;
        plan.bindings.lineage = "other".into();
        plan.changes.push(change("web", "linode.instance", CREATE, "new"));
        assert_eq!(inputs_digest(&plan), read);
        let mut edits = vec![plan.clone(), plan.clone(), plan.clone(), plan];
        edits[0].bindings.variables.insert("size".into(), "1f".into());
        edits[1].bindings.files.insert("stack.yaml".into(), "00".into());
        edits[2].overlays.push("drill".into());
        edits[3].instance = Some("drill".into());
        for edited in edits {
            assert_ne!(inputs_digest(&edited), read);
        }
    }

    #[test]
    fn decode_leaves_envelope_and_whitespace_out_of_the_digest() {
        let text = encode(&secretive_sealed(), &envelope());
        let later = text.replace("1790000000000", "1790000000001");
        let later = later.replace("\"measured\": 8", "\"measured\": 9");
        assert_eq!(decode(&later).unwrap().1.forecast.unwrap().measured, 9);
        let flat: String = later.lines().map(str::trim_start).collect();
        assert_eq!(decode(&flat).unwrap().0, decode(&text).unwrap().0);
    }

    fn secretive_sealed() -> Plan {
        sealed(&secretive(), Some(&LineageKey(vec![7])))
    }

    /// A failover of the example as lifeboat 0.1 saves it: read and written again, it is the same text with the same digest.
    #[test]
    fn encode_keeps_the_format_of_saved_plans() {
        let golden = include_str!("golden/failover.json");
        let (plan, envelope) = decode(golden).unwrap();
        assert_eq!(encode(&plan, &envelope), golden);
    }

    /// The same failover as format 1.5 had it.
    #[test]
    fn decode_reads_a_plan_saved_in_format_1() {
        let (plan, envelope) = decode(include_str!("golden/failover-1.5.json")).unwrap();
        assert_eq!(encode(&plan, &envelope), include_str!("golden/failover.json"));
    }

    /// Format 1 had these names instead.
    const RENAMED: [(&str, &str); 10] = [
        ("\"workspace\":", "\"instance\":"),
        ("\"recovered\":", "\"thaws\":"),
        ("\"deferred\":", "\"held\":"),
        ("\"unknown\":", "\"unseen\":"),
        ("\"unknown_reason\":", "\"unseen_reason\":"),
        ("\"wait\": \"unknown\"", "\"wait\": \"unseen\""),
        ("\"orphaned\":", "\"left_behind\":"),
        ("\"shift\":", "\"directs\":"),
        ("\"shifted\":", "\"directed\":"),
        ("\"format_version\": \"2.0\"", "\"format_version\": \"1.5\""),
    ];

    /// What [`encode`] would have written in format 1.
    fn in_format_1(plan: &Plan) -> String {
        let mut text = encode(plan, &envelope());
        for (today, before) in RENAMED {
            text = text.replace(today, before);
        }
        let read: PlanRead<'_> = serde_json::from_str(&text).unwrap();
        text.replace(&read.digest, &digest(&compact(read.plan.get())))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn parse_reads_every_field_name_of_format_1(plan in any_plan()) {
            prop_assert_eq!(parse(&in_format_1(&plan)).unwrap(), (plan, envelope()));
        }
    }

    #[test]
    fn decode_refuses_a_plan_edited_by_hand() {
        let text = encode(&secretive_sealed(), &envelope());
        let edited = text.replace("\"action\": \"create\"", "\"action\": \"delete\"");
        assert_ne!(edited, text);
        assert!(matches!(decode(&edited), Err(WireError::Edited { .. })));
        let counted = text.replace("\"create\": 1", "\"create\": 0");
        assert_eq!(decode(&counted), Err(WireError::Summary));
    }

    #[test]
    fn decode_refuses_a_quorum_that_cannot_be_counted() {
        let quorum = |count: usize, of: &[usize]| {
            let change = |name: &str| change(name, "linode.instance", CREATE, "new");
            let mut plan = plan().of(vec![change("a"), change("b"), change("c")]);
            plan.steps[2].quorums = vec![StepQuorum { count, of: of.to_vec() }];
            parse(&encode(&plan, &envelope())).map(|_| ())
        };
        assert_eq!(quorum(1, &[0, 1]), Ok(()));
        for (count, of) in [(3, &[0, 1][..]), (2, &[0, 0]), (1, &[0, 2]), (1, &[0, 9])] {
            assert_eq!(quorum(count, of), Err(WireError::Step(2)), "{count} of {of:?}");
        }
    }

    #[test]
    fn decode_refuses_a_newer_major_version_with_a_remedy() {
        let text = encode(&plan(), &envelope());
        let version = |it: &str| {
            let said = format!("\"format_version\": \"{FORMAT_VERSION}\"");
            assert!(text.contains(&said));
            text.replace(&said, &format!("\"format_version\": \"{it}\""))
        };
        let newer = version("3.0");
        let why = decode(&newer).unwrap_err();
        assert_eq!(why, WireError::Format("3.0".into()));
        assert!(
            why.to_string()
                .ends_with("use the version that created it, or plan again with this one")
        );
        assert!(decode(&version("2.7")).is_ok());
        for text in ["", "{}", "[1]", "stack: shop"] {
            assert!(matches!(decode(text), Err(WireError::NotAPlan(_))), "{text}");
        }
    }

    #[test]
    fn sealed_leaves_no_secret_anywhere() {
        for key in [None, Some(&LineageKey(vec![7]))] {
            let text = encode(&sealed(&secretive(), key), &envelope());
            assert!(!text.contains("hunter2") && text.contains("$sensitive"));
        }
    }

    #[test]
    #[should_panic(expected = "sealed")]
    fn encode_panics_on_a_secret_that_is_not_sealed() {
        encode(&secretive(), &envelope());
    }
}
