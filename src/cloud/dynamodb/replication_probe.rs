//! A canary: an item written through one member of a group and awaited at another, which tells how long replication takes.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ScalarAttributeType, TableDescription};
use uuid::Uuid;

use crate::cloud::dynamodb::error_class::LostReply;
use crate::cloud::dynamodb::table_ref::{Dynamo, TableRef};
use crate::cloud::error::ProviderError;
use crate::engine::retry::{ErrorClass, has_looked};

/// The pause between two reads of the written item. Replication usually takes less than a second (AWS's developer guide on
/// global tables), so a longer pause would be most of what is measured.
const POLL: Duration = Duration::from_millis(200);
/// How long one answer may take on the wall, however fast the clock of a sandbox runs; as long as any read of this driver.
const ANSWER: Duration = Duration::from_secs(5);
/// The attribute that says what it is, for whoever finds one.
pub(super) const SIGN: &str = "lifeboat";

/// What is written: a key that nobody else has.
struct ReplicationProbe {
    name: String,
    key: Vec<(String, AttributeValue)>,
}

impl ReplicationProbe {
    /// Fits the key of the table; `None` when that is told in no way that anyone knows.
    fn of(table: &TableDescription) -> Option<Self> {
        let random = Uuid::new_v4();
        let name = format!("lifeboat-canary-{random}");
        // 38 digits are all that a number has; real ones are rarely so far below zero.
        let number = format!("-{}", random.as_u128() % 10_u128.pow(37));
        let key = key_of(table, &name, &number)?;
        Some(Self { name, key })
    }
}

/// A key of the table's own shape, each part of it the name, or the number where that is its type; `None` when that is told in no way
/// that anyone knows.
pub(super) fn key_of(
    table: &TableDescription,
    name: &str,
    number: &str,
) -> Option<Vec<(String, AttributeValue)>> {
    let key = table.key_schema().iter().map(|part| {
        let mut definitions = table.attribute_definitions().iter();
        let definition = definitions.find(|it| it.attribute_name() == part.attribute_name())?;
        let value = match definition.attribute_type() {
            ScalarAttributeType::S => AttributeValue::S(name.into()),
            ScalarAttributeType::B => AttributeValue::B(Blob::new(name.as_bytes())),
            ScalarAttributeType::N => AttributeValue::N(number.into()),
            _ => return None,
        };
        Some((part.attribute_name().to_owned(), value))
    });
    let key: Vec<_> = key.collect::<Option<_>>()?;
    (!key.is_empty()).then_some(key)
}

/// Where it is written and where it is awaited.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProbeInFlight<'a> {
    pub writer: &'a TableRef,
    pub reader: &'a TableRef,
    pub within: Duration,
}

impl Dynamo {
    /// The time, on the session's clock, from the acknowledged write to the first read that finds it. Whatever comes of it,
    /// the canary is taken away again.
    pub(crate) async fn canary(
        &self,
        flight: ProbeInFlight<'_>,
    ) -> Result<Duration, ProviderError> {
        let contact = self.contact(&flight.writer.region);
        let contacts = &self.connections.contacts;
        let table = contacts.ask(&contact, Box::pin(self.described(flight.writer)));
        let table = table.await.map_err(|why| self.concerning(flight, why))?;
        let canary = ReplicationProbe::of(&table).ok_or_else(|| {
            let words = format!("the key of `{}` is not supported", flight.writer.name);
            self.grounded(flight, ErrorClass::Garbled, words)
        })?;
        let measured = match self.write(flight, &canary).await {
            Ok(()) => self.await_arrival(flight, &canary).await,
            Err(why) if why.fault == ErrorClass::UnknownOutcome => Err(why),
            // Nothing was written, so nothing is to be taken away.
            Err(why) => return Err(self.concerning(flight, why)),
        };
        let removed = self.remove(flight.writer, &canary).await;
        match (measured, removed) {
            (Ok(took), Ok(())) => Ok(took),
            (Err(why), Ok(())) => Err(self.concerning(flight, why)),
            (measured, Err(left)) => {
                let outcome = match measured {
                    Ok(took) => format!("the item arrived after {took:?}"),
                    Err(why) => why.to_string(),
                };
                let words = format!("{outcome}; and it could not be deleted: {left}");
                let advice = format!("delete the item {} by hand", canary.name);
                Err(self.grounded(flight, left.fault, words).advice(advice).caused_by(left))
            }
        }
    }

    async fn write(
        &self,
        flight: ProbeInFlight<'_>,
        canary: &ReplicationProbe,
    ) -> Result<(), ProviderError> {
        let place = flight.writer;
        let sign = (!canary.key.iter().any(|(name, _)| name == SIGN))
            .then(|| AttributeValue::S(canary.name.clone()));
        let put = async {
            call!(self, &place.region, "PutItem", LostReply::Change, |client| {
                let request = client.put_item().table_name(&place.name);
                let request = sign.iter().fold(request, |it, sign| it.item(SIGN, sign.clone()));
                canary.key.iter().fold(request, |it, (name, value)| it.item(name, value.clone()))
            })
        };
        tokio::select! {
            written = put => written.map(drop),
            () = self.too_long(flight.within) => {
                let words = format!("the write was not accepted within {:?}", flight.within);
                Err(self.grounded(flight, ErrorClass::UnknownOutcome, words))
            }
        }
    }

    async fn await_arrival(
        &self,
        flight: ProbeInFlight<'_>,
        canary: &ReplicationProbe,
    ) -> Result<Duration, ProviderError> {
        let clock = &self.connections.settings.clock;
        let written = clock.now();
        let last = std::sync::Mutex::new(None);
        let looks = AtomicU32::new(0);
        let look = async {
            loop {
                looks.fetch_add(1, Relaxed);
                match self.is_at(flight.reader, canary).await {
                    Ok(true) => return Ok(()),
                    Ok(false) => {}
                    Err(why) if passes(why.fault) => {
                        if let Ok(mut last) = last.lock() {
                            *last = Some(why.to_string());
                        }
                    }
                    Err(why) => return Err(why),
                }
                clock.sleep(POLL).await;
            }
        };
        tokio::select! {
            seen = look => {
                let took = u64::try_from(clock.now() - written).unwrap_or(0);
                seen.map(|()| Duration::from_millis(took))
            }
            () = self.too_late(flight.within, &looks) => {
                let last = last.lock().ok().and_then(|mut it| it.take());
                let why = last.map(|it| format!(" ({it})")).unwrap_or_default();
                let words = format!("the item did not arrive within {:?}{why}", flight.within);
                Err(self.grounded(flight, ErrorClass::Transient, words))
            }
        }
    }

    /// Over after this time, and never before a busy machine could have had its answer.
    async fn too_long(&self, within: Duration) {
        let clock = &self.connections.settings.clock;
        tokio::join!(clock.sleep(within), tokio::time::sleep(ANSWER));
    }

    /// Over after this time and enough looks, or when not even these can be made.
    async fn too_late(&self, within: Duration, looks: &AtomicU32) {
        self.connections.settings.clock.sleep(within).await;
        let until = tokio::time::Instant::now() + ANSWER;
        while !has_looked(looks.load(Relaxed)) && tokio::time::Instant::now() < until {
            tokio::time::sleep(POLL / 10).await;
        }
    }

    async fn is_at(
        &self,
        place: &TableRef,
        canary: &ReplicationProbe,
    ) -> Result<bool, ProviderError> {
        let answer = call!(self, &place.region, "GetItem", LostReply::Read, |client| {
            let request = client.get_item().table_name(&place.name).consistent_read(true);
            canary.key.iter().fold(request, |it, (name, value)| it.key(name, value.clone()))
        })?;
        Ok(answer.item.is_some())
    }

    /// One attempt: the deletion travels to the other members by itself.
    async fn remove(
        &self,
        place: &TableRef,
        canary: &ReplicationProbe,
    ) -> Result<(), ProviderError> {
        call!(self, &place.region, "DeleteItem", LostReply::Read, |client| {
            let request = client.delete_item().table_name(&place.name);
            canary.key.iter().fold(request, |it, (name, value)| it.key(name, value.clone()))
        })
        .map(drop)
    }

    fn grounded(
        &self,
        flight: ProbeInFlight<'_>,
        fault: ErrorClass,
        words: String,
    ) -> ProviderError {
        let endpoint = |place: &TableRef| self.address(&place.region);
        let way = format!(
            "the replication probe in `{}` from {} to {}",
            flight.writer.name,
            endpoint(flight.writer),
            endpoint(flight.reader)
        );
        ProviderError::new(fault, way, words)
    }

    /// The same error, told of both ends.
    fn concerning(&self, flight: ProbeInFlight<'_>, why: ProviderError) -> ProviderError {
        self.grounded(flight, why.fault, why.to_string()).caused_by(why)
    }
}

/// What may be over at the next look.
fn passes(fault: ErrorClass) -> bool {
    matches!(
        fault,
        ErrorClass::Busy | ErrorClass::Throttled | ErrorClass::Transient | ErrorClass::Unreachable
    )
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, AttributeValue, KeySchemaElement, KeyType, ScalarAttributeType,
        TableDescription,
    };

    use super::ReplicationProbe;

    fn table(key: &[(&str, ScalarAttributeType)]) -> TableDescription {
        key.iter()
            .fold(TableDescription::builder(), |it, (name, kind)| {
                let part =
                    KeySchemaElement::builder().attribute_name(*name).key_type(KeyType::Hash);
                let definition = AttributeDefinition::builder().attribute_name(*name);
                it.key_schema(part.build().unwrap())
                    .attribute_definitions(definition.attribute_type(kind.clone()).build().unwrap())
            })
            .build()
    }

    #[test]
    fn replication_probe_fits_the_key_and_says_what_it_is() {
        let types = [ScalarAttributeType::S, ScalarAttributeType::N, ScalarAttributeType::B];
        for kind in types {
            let canary = ReplicationProbe::of(&table(&[("id", kind.clone())])).unwrap();
            assert!(canary.name.starts_with("lifeboat-canary-"));
            match (&canary.key[0].1, kind) {
                (AttributeValue::S(text), ScalarAttributeType::S) => assert_eq!(*text, canary.name),
                (AttributeValue::B(blob), ScalarAttributeType::B) => {
                    assert_eq!(blob.as_ref(), canary.name.as_bytes());
                }
                (AttributeValue::N(number), ScalarAttributeType::N) => {
                    assert!(number.starts_with('-') && number.len() <= 38, "{number}");
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(ReplicationProbe::of(&table(&[])).is_none());
        assert!(ReplicationProbe::of(&table(&[("id", ScalarAttributeType::from("X"))])).is_none());
    }
}
