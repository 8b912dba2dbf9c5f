//! Walks every kind's folder through its `life.yaml`: each state is reached, a second look finds nothing to do, drift is seen, and nothing is left.

use std::sync::Mutex;
use std::time::Duration;

use lifeboat::engine::address::Address;
use lifeboat::engine::schema::Kind;
use lifeboat::engine::state::record::Record;
use lifeboat::kinds::{FOLDERS, builtin};
use serde_json::{Map, Value, json};

use crate::harness::{Home, Output};

/// Lives at once; more would wait for processors and miss their deadlines in world time.
const AT_ONCE: usize = 4;

/// Longer than any job of a cloud.
const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn validate_and_plan_accept_every_example() {
    for (folder, _, example, _) in FOLDERS {
        let home = Home::holding("example", example);
        home.run(&["validate", "example"]).code(0).says(&["is valid"]).done();
        let plan = home.sandbox(&["plan", "example", "--detailed-exitcode"]).code(2);
        assert!(plan.stdout.contains("create"), "{folder}: {plan}");
        assert!(home.is_untouched(), "{folder}: a plan writes nothing");
    }
}

#[test]
fn apply_walks_every_kind_through_its_states() {
    let queue = Mutex::new(FOLDERS.iter());
    std::thread::scope(|scope| {
        let walk = || {
            while let Some((folder, kind, _, life)) = next(&queue) {
                let kind = lifeboat::kinds::parse(kind).unwrap();
                Life::read(folder, kind, life).walk();
            }
        };
        let lives: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(walk)).collect();
        let broken = lives.into_iter().filter_map(|it| it.join().err()).count();
        assert_eq!(broken, 0, "the panics above say which kinds and why");
    });
}

fn next<T>(queue: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next()
}

/// One kind, its desired states, and the home in which they are reached.
struct Life {
    folder: String,
    kind: Kind,
    told: Value,
    address: String,
    home: Home,
}

impl Life {
    fn read(folder: &str, kind: Kind, life: &str) -> Self {
        let life: Value = serde_yaml::from_str(life).unwrap();
        let address = life["address"].as_str().unwrap().to_owned();
        Self { folder: folder.into(), kind, told: life, address, home: Home::new() }
    }

    fn walk(&self) {
        for state in self.told["states"].as_array().unwrap() {
            self.reach(state);
        }
        self.drift();
        self.sandbox(&["destroy", "life", "--yes"], &[]).code(0).done();
        let left = self.home.world.is_empty().unwrap();
        assert!(left, "{}: something is left: {}", self.folder, self.home.shown());
    }

    /// YAML is a superset of JSON.
    fn write(&self, attributes: &Value) {
        let mut resources: Map<String, Value> =
            self.told["around"].as_object().cloned().unwrap_or_default();
        let mut resource = attributes.as_object().unwrap().clone();
        resource.insert("kind".into(), self.kind.kind.clone().into());
        resources.insert(self.address.clone(), resource.into());
        let stack = json!({ "stack": "life", "resources": resources });
        self.home.stack("life", serde_json::to_string_pretty(&stack).unwrap());
    }

    fn sandbox(&self, arguments: &[&str], allow: &[&str]) -> Output {
        self.home.sandbox(&[arguments, allow].concat())
    }

    fn action(&self, plan: &Output) -> String {
        let json = plan.json();
        let changes = json["plan"]["changes"].as_array().unwrap();
        let change = changes.iter().find(|it| it["address"] == self.address.as_str());
        change.unwrap()["action"].as_str().unwrap().to_owned()
    }

    fn reach(&self, state: &Value) {
        self.write(&state["attributes"]);
        let said = format!("{}: {}", self.folder, state["name"]);
        let expected = state["expect"].as_str().unwrap();
        let allowed = ["--allow-outage", "--allow-delete", self.address.as_str()];
        // Alone as it is, whatever takes it out of service is an outage.
        let allow = if expected == "replace" { &allowed[..] } else { &allowed[..1] };
        let plan = self.sandbox(&["plan", "life", "--format", "json"], allow);
        assert_eq!(plan.code, Some(0), "{said}: {plan}");
        assert_eq!(self.action(&plan), expected, "{said}: {plan}");
        let apply = self.sandbox(&["apply", "life", "--yes"], allow);
        assert_eq!(apply.code, Some(0), "{said}: {apply}");
        self.second_plan_is_empty(&said);
    }

    fn second_plan_is_empty(&self, said: &str) {
        let plan = self.sandbox(&["plan", "life", "--detailed-exitcode"], &[]);
        assert_eq!(plan.code, Some(0), "{said}: the second plan is not empty: {plan}");
    }

    fn record(&self) -> Record {
        let address: Address = self.address.parse().unwrap();
        self.home.state("life").unwrap().records[&address].clone()
    }

    /// Somebody else changes it: the plan says so and wants it back.
    fn drift(&self) {
        let disturb = &self.told["disturb"];
        if disturb.is_null() {
            return;
        }
        if let Some(body) = disturb.get("put") {
            self.home.linode("PUT", &self.route(), body);
        } else {
            let record = self.record();
            let region = record.attributes["region"].as_text().unwrap().to_owned();
            let table = table_name(&record);
            let protected = disturb["dynamodb"]["deletion_protection"].as_bool().unwrap();
            let body = json!({ "TableName": table, "DeletionProtectionEnabled": protected });
            self.home.dynamodb(&region, "UpdateTable", &body);
        }
        // What is still at work is awaited, not repaired.
        self.home.world.advance(HOUR).unwrap();
        let allow = ["--revert-drift", self.address.as_str(), "--allow-outage"];
        let plan = self.sandbox(&["plan", "life", "--format", "json"], &allow).code(0);
        assert_eq!(self.action(&plan), "update", "{}: {plan}", self.folder);
        let drift = plan.json()["plan"]["drift"].clone();
        assert_eq!(drift[0]["address"], self.address.as_str(), "{}: {plan}", self.folder);
        let apply = self.sandbox(&["apply", "life", "--yes"], &allow);
        assert_eq!(apply.code, Some(0), "{}: {apply}", self.folder);
        self.second_plan_is_empty(&format!("{} after a repair", self.folder));
    }

    /// The object's path in the Linode API.
    fn route(&self) -> String {
        let record = self.record();
        let mut route = self.kind.rest.as_ref().unwrap().collection.clone();
        for (name, value) in &record.attributes {
            if let Some(text) = value.as_text() {
                route = route.replace(&format!("{{{name}}}"), text);
            }
        }
        format!("{route}/{}", record.id)
    }
}

fn table_name(record: &Record) -> String {
    let name = record
        .attributes
        .get("name")
        .or(record.attributes.get("table.name"))
        .or(record.outputs.get("name"));
    name.and_then(|it| it.as_text()).expect("a table has a name").to_owned()
}

/// The walk is complete only when no folder is left out.
#[test]
fn life_of_every_kind_has_states_and_a_disturbance() {
    assert_eq!(builtin().kinds.len(), FOLDERS.len());
    for (folder, _, _, life) in FOLDERS {
        let life: Value = serde_yaml::from_str(life).unwrap();
        assert!(life["states"].as_array().is_some_and(|it| it.len() > 1), "{folder}");
        assert!(life["disturb"].is_object(), "{folder}");
    }
}

/// A spelling that nobody walks may never come to rest.
#[test]
fn life_of_every_kind_covers_every_attribute() {
    let mut missing = Vec::new();
    for (folder, kind, _, life) in FOLDERS {
        let kind = lifeboat::kinds::parse(kind).unwrap();
        let life: Value = serde_yaml::from_str(life).unwrap();
        let states = life["states"].as_array().unwrap();
        for (name, attribute) in kind.settable() {
            let is_given = |value: &Value| states.iter().any(|it| it["attributes"][name] == *value);
            if !states.iter().any(|it| !it["attributes"][name].is_null()) {
                missing.push(format!("{folder}: {name}"));
            }
            let is_default = |it: &String| attribute.default == Some(Value::from(it.as_str()));
            let choices = attribute.one_of.iter().filter(|it| !is_default(it));
            let unwalked = choices.filter(|it| !is_given(&Value::from(it.as_str())));
            missing.extend(unwalked.map(|it| format!("{folder}: {name}: {it}")));
        }
    }
    assert!(missing.is_empty(), "no state of life.yaml has: {missing:#?}");
}
