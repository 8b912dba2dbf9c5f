//! What a driver of a cloud can do: the one set of verbs behind which each cloud has its own ways.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde_json::Value as Json;

use crate::cloud::error::ProviderError;
use crate::cloud::read::{Created, GroupHeartbeat, MemberRead, ReadQuery, ReadResult};
use crate::engine::observed::{Candidate, Neighbor, Observation};
use crate::engine::plan::checks::grants::Restricted;
use crate::engine::plan::checks::offers::OfferSource;
use crate::engine::retry::ErrorClass;
use crate::engine::schema::{Catalog, Kind};
use crate::engine::value::Attributes;

/// What a verb gives back. Boxed, so that drivers of different types stand in one registry.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The same of a verb that may fail.
pub type Tried<'a, T> = Reply<'a, Result<T, ProviderError>>;

/// The endpoints that somebody set do not fit what is to be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misdirected {
    pub what: String,
    pub help: &'static str,
}

/// Reads and changes the objects of the kinds that name it as their `provider`. A read is repeated as the engine decides; a
/// change is one attempt.
pub trait Driver: Send + Sync {
    /// What kinds call it in `provider`.
    fn provider(&self) -> &str;

    /// What kinds call its cloud in `cloud`: whose account it is, and how its fault domains begin.
    fn cloud(&self) -> &str;

    /// Steps of its kinds that a run carries out at one time, where nobody says otherwise.
    fn at_once(&self) -> usize;

    /// Whether everything that it talks to is on this machine.
    fn is_local(&self) -> bool;

    /// Why objects with these attributes cannot be where its calls go.
    fn misdirected(&self, _asked: &[&Attributes]) -> Option<Misdirected> {
        None
    }

    /// What around this process leads calls, or the credentials for them, through a fault domain: what says so, and which.
    fn surroundings(&self) -> Reply<'_, Vec<(String, String)>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    /// From now on nothing connects to the endpoints of these fault domains, and of no others.
    fn lose(&self, _fault_domains: &[String]) {}

    /// Whose credentials these are; `bound` is what state is bound to so far.
    fn account<'a>(&'a self, bound: Option<&'a str>) -> Tried<'a, String>;

    /// What is seen of each object, in the order of the questions, and what the lists that were read for it show beside, as
    /// far as these kinds can say it.
    fn observe<'a>(
        &'a self,
        questions: &'a [ReadQuery<'a>],
        catalog: &'a Catalog,
    ) -> Reply<'a, (Vec<Observation>, Vec<Neighbor>)>;

    /// A list that the cloud keeps of what it offers, or one object such as the account's settings.
    fn offers<'a>(&'a self, _source: OfferSource, path: &'a str) -> Tried<'a, Vec<Json>> {
        unable(path, "this cloud does not tell what it offers")
    }

    /// The user of the credentials, where it does not see everything; read at most once between two looks at the world.
    fn restricted(&self) -> Tried<'_, Option<Restricted>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Whatever is in the collection of a kind, with ids.
    fn inside<'a>(
        &'a self,
        kind: &'a Kind,
        _attributes: &'a Attributes,
    ) -> Tried<'a, Vec<(String, Attributes)>> {
        unable(&kind.kind, "objects of this kind lie in no collection")
    }

    /// The filters that stand before an object, whoever attached them: their ids, and what they say in the words of `wall`,
    /// their kind.
    fn filters<'a>(
        &'a self,
        kind: &'a Kind,
        _id: &'a str,
        _attributes: &'a Attributes,
        _wall: &'a Kind,
    ) -> Tried<'a, Vec<(String, Attributes)>> {
        unable(&kind.kind, "no filters stand before objects of this kind")
    }

    /// Objects of the same identity, whoever made them.
    fn alike<'a>(&'a self, kind: &'a Kind, attributes: &'a Attributes)
    -> Tried<'a, Vec<Candidate>>;

    fn create<'a>(
        &'a self,
        kind: &'a Kind,
        attributes: &'a Attributes,
        mark: Option<&'a str>,
    ) -> Tried<'a, Created>;

    /// Carries the changed attributes of one update group (`""` is the plain update).
    fn update<'a>(
        &'a self,
        kind: &'a Kind,
        id: &'a str,
        attributes: &'a Attributes,
        group: &'a str,
        changed: &'a [String],
        mark: Option<&'a str>,
    ) -> Tried<'a, Attributes>;

    /// What is not there any more is deleted already.
    fn delete<'a>(
        &'a self,
        kind: &'a Kind,
        id: &'a str,
        attributes: &'a Attributes,
    ) -> Tried<'a, ()>;

    /// What one object is now, also with those of the attributes in `told` that only other lists tell.
    fn look<'a>(
        &'a self,
        kind: &'a Kind,
        id: &'a str,
        attributes: &'a Attributes,
        told: &'a [String],
    ) -> Tried<'a, ReadResult>;

    /// The same for somebody who waits until it is ready and looks again after `pause`: nothing is read for each that can
    /// be read for all.
    fn ready<'a>(
        &'a self,
        kind: &'a Kind,
        id: &'a str,
        attributes: &'a Attributes,
        _pause: Duration,
    ) -> Tried<'a, ReadResult> {
        self.look(kind, id, attributes, &[])
    }

    /// Writes something into one member of a group and waits until another has it; the time that took, on the session's
    /// clock, from the acknowledged write to the first read. What was written is taken away again.
    fn replicates<'a>(
        &'a self,
        writer: MemberRead<'a>,
        _reader: MemberRead<'a>,
        _within: Duration,
    ) -> Tried<'a, Duration> {
        unable(&writer.kind.kind, "nothing replicates between objects of this kind")
    }

    /// Writes a heartbeat over the last one, in one attempt.
    fn beat<'a>(&'a self, writer: MemberRead<'a>, _heartbeat: &'a GroupHeartbeat) -> Tried<'a, ()> {
        unable(&writer.kind.kind, "nothing replicates between objects of this kind")
    }

    /// The newest heartbeat that has come to this member; `None`: there is none.
    fn last_beat<'a>(&'a self, reader: MemberRead<'a>) -> Tried<'a, Option<GroupHeartbeat>> {
        unable(&reader.kind.kind, "nothing replicates between objects of this kind")
    }
}

/// Said instead of a call that this cloud does not know.
pub(super) fn unable<'a, T: Send + 'a>(endpoint: &str, why: &str) -> Tried<'a, T> {
    let refused = ProviderError::new(ErrorClass::Rejected, endpoint, why);
    Box::pin(std::future::ready(Err(refused)))
}
