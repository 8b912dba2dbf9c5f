//! How state and journal look as JSON: each part of them in the names that files keep, and back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::address::Address;
use crate::engine::state::journal::PendingOperation;
use crate::engine::state::record::{
    Deposed, Draining, LostDomain, Phase, Record, RunRecord, State, SwitchRecord,
};
use crate::engine::value::{Attributes, LineageKey, Value};

/// The version that this program writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// Why bytes are not a state or an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("its format is version {0}, but this version of lifeboat reads up to {VERSION}")]
    Newer(u32),
    #[error("line {line}: {why}")]
    Damaged { line: usize, why: String },
    #[error("line {line}: the checksum does not match")]
    Checksum { line: usize },
    #[error("it is truncated")]
    Torn,
}

pub(super) fn address(text: &str, line: usize) -> Result<Address, CodecError> {
    text.parse().map_err(|why: crate::engine::address::NotAnAddress| CodecError::Damaged {
        line,
        why: why.to_string(),
    })
}

pub(super) fn addresses(texts: &[String], line: usize) -> Result<Vec<Address>, CodecError> {
    texts.iter().map(|it| address(it, line)).collect()
}

pub(super) fn key(text: &str) -> LineageKey {
    LineageKey(data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap_or_default())
}

#[derive(Serialize, Deserialize)]
pub(super) struct Header {
    version: u32,
    stack: String,
    instance: Option<String>,
    lineage: String,
    key: String,
    serial: u64,
    sequence: u64,
    touched: u64,
    epoch: u64,
    target: String,
    bound: BTreeMap<String, String>,
    home: Vec<String>,
    active: Vec<String>,
    phase: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    switch: Option<SwitchRecord>,
    lost: Vec<LostJson>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    draining: Vec<DrainingJson>,
    variables: BTreeMap<String, Value>,
    outputs: BTreeMap<String, Value>,
    begun: Vec<BegunJson>,
    last_run: Option<RunJson>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    destroyed: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    restored: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct LostJson {
    fault_domain: String,
    since: i64,
    by: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct DrainingJson {
    address: String,
    was: Vec<String>,
    until: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RunJson {
    who: String,
    command: String,
    at: i64,
    finished: Option<i64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    destroys: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct BegunJson {
    step: usize,
    address: String,
    kind: String,
    call: String,
    attributes: Attributes,
    needs: Vec<String>,
    alike: Vec<String>,
    mark: Option<String>,
    at: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RecordLine {
    pub(super) address: String,
    pub(super) record: RecordJson,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RecordJson {
    kind: String,
    id: String,
    attributes: Attributes,
    outputs: Attributes,
    needs: Vec<String>,
    ready: bool,
    #[serde(default)]
    protected: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    retained: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    leaving: bool,
    since: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deposed: Option<DeposedJson>,
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    tried: Attributes,
}

#[derive(Serialize, Deserialize)]
struct DeposedJson {
    id: String,
    attributes: Attributes,
}

pub(super) fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Settled => "settled",
        Phase::Switching => "switching",
    }
}

impl From<&State> for Header {
    fn from(state: &State) -> Self {
        Self {
            version: VERSION,
            stack: state.stack.clone(),
            instance: state.instance.clone(),
            lineage: state.lineage.clone(),
            key: data_encoding::HEXLOWER.encode(&state.key.0),
            serial: state.serial,
            sequence: state.sequence,
            touched: state.touched,
            epoch: state.epoch,
            target: state.target.clone(),
            bound: state.bound.clone(),
            home: state.home.clone(),
            active: state.active.clone(),
            phase: phase_word(state.phase).into(),
            switch: state.switch.clone(),
            lost: state.lost.iter().map(Into::into).collect(),
            draining: state.draining.iter().map(Into::into).collect(),
            variables: state.variables.clone(),
            outputs: state.outputs.clone(),
            begun: state.begun.values().map(Into::into).collect(),
            last_run: state.last_run.as_ref().map(|it| RunJson {
                who: it.who.clone(),
                command: it.command.clone(),
                at: it.at,
                finished: it.finished,
                destroys: it.destroys,
            }),
            destroyed: state.destroyed.iter().map(ToString::to_string).collect(),
            restored: state.is_restored,
        }
    }
}

impl Header {
    pub(super) fn into_state(self, line: usize) -> Result<State, CodecError> {
        let mut state = State::new(
            &self.stack,
            self.instance.as_deref(),
            &self.target,
            &self.lineage,
            key(&self.key),
        );
        state.serial = self.serial;
        state.sequence = self.sequence;
        state.touched = self.touched;
        state.epoch = self.epoch;
        state.bound = self.bound;
        state.home = self.home;
        state.active = self.active;
        state.phase = if self.phase == "switching" { Phase::Switching } else { Phase::Settled };
        state.switch = self.switch;
        state.lost = self.lost.into_iter().map(Into::into).collect();
        for it in self.draining {
            state.draining.push(it.into_draining(line)?);
        }
        state.variables = self.variables;
        state.outputs = self.outputs;
        for begun in self.begun {
            let begun = begun.into_begun(line)?;
            state.begun.insert(begun.address.clone(), begun);
        }
        state.destroyed = addresses(&self.destroyed, line)?.into_iter().collect();
        state.last_run = self.last_run.map(|it| RunRecord {
            destroys: it.destroys,
            who: it.who,
            command: it.command,
            at: it.at,
            finished: it.finished,
        });
        state.is_restored = self.restored;
        Ok(state)
    }
}

impl From<&LostDomain> for LostJson {
    fn from(it: &LostDomain) -> Self {
        Self { fault_domain: it.fault_domain.clone(), since: it.since, by: it.by.clone() }
    }
}

impl From<LostJson> for LostDomain {
    fn from(it: LostJson) -> Self {
        Self { fault_domain: it.fault_domain, since: it.since, by: it.by }
    }
}

impl From<&Draining> for DrainingJson {
    fn from(it: &Draining) -> Self {
        Self {
            address: it.address.to_string(),
            was: it.was.iter().map(ToString::to_string).collect(),
            until: it.until,
        }
    }
}

impl DrainingJson {
    fn into_draining(self, line: usize) -> Result<Draining, CodecError> {
        Ok(Draining {
            address: address(&self.address, line)?,
            was: addresses(&self.was, line)?,
            until: self.until,
        })
    }
}

impl From<&PendingOperation> for BegunJson {
    fn from(it: &PendingOperation) -> Self {
        Self {
            step: it.step,
            address: it.address.to_string(),
            kind: it.kind.clone(),
            call: it.call.clone(),
            attributes: it.attributes.clone(),
            needs: it.needs.iter().map(ToString::to_string).collect(),
            alike: it.alike.clone(),
            mark: it.mark.clone(),
            at: it.at,
        }
    }
}

impl BegunJson {
    pub(super) fn into_begun(self, line: usize) -> Result<PendingOperation, CodecError> {
        Ok(PendingOperation {
            step: self.step,
            address: address(&self.address, line)?,
            kind: self.kind,
            call: self.call,
            attributes: self.attributes,
            needs: addresses(&self.needs, line)?,
            alike: self.alike,
            mark: self.mark,
            at: self.at,
        })
    }
}

impl From<&Record> for RecordJson {
    fn from(it: &Record) -> Self {
        Self {
            kind: it.kind.clone(),
            id: it.id.clone(),
            attributes: it.attributes.clone(),
            outputs: it.outputs.clone(),
            needs: it.needs.iter().map(ToString::to_string).collect(),
            ready: it.ready,
            protected: it.protected,
            retained: it.retained,
            leaving: it.leaving,
            since: it.since,
            deposed: it
                .deposed
                .as_ref()
                .map(|it| DeposedJson { id: it.id.clone(), attributes: it.attributes.clone() }),
            tried: it.tried.clone(),
        }
    }
}

impl RecordJson {
    pub(super) fn into_record(self, line: usize) -> Result<Record, CodecError> {
        Ok(Record {
            kind: self.kind,
            id: self.id,
            attributes: self.attributes,
            outputs: self.outputs,
            needs: addresses(&self.needs, line)?,
            ready: self.ready,
            protected: self.protected,
            retained: self.retained,
            leaving: self.leaving,
            since: self.since,
            deposed: self.deposed.map(|it| Deposed { id: it.id, attributes: it.attributes }),
            tried: self.tried,
        })
    }
}
