//! A heartbeat: one item of a group, written over again and again, whose time tells at every member how far the data there goes.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::cloud::dynamodb::error_class::LostReply;
use crate::cloud::dynamodb::replication_probe::{SIGN, key_of};
use crate::cloud::dynamodb::table_ref::{Dynamo, TableRef};
use crate::cloud::error::ProviderError;
use crate::cloud::read::GroupHeartbeat;
use crate::engine::retry::ErrorClass;

/// The key of the item where it is text or bytes, and what it says of itself: never another one, so that a group has one item.
const NAME: &str = "lifeboat-heartbeat";
/// The key where it is a number: 38 digits are all that a number has, and real ones are rarely so far below zero.
const NUMBER: &str = "-76966656264626561744865617274626561742";
/// When it was written, in milliseconds since the Unix epoch.
const AT: &str = "lifeboat_at";
/// In which region.
const REGION: &str = "lifeboat_region";
/// After how many seconds the next one was to come.
const EVERY: &str = "lifeboat_every";

impl Dynamo {
    /// One attempt: the next heartbeat comes soon.
    pub(crate) async fn write_heartbeat(
        &self,
        place: &TableRef,
        heartbeat: &GroupHeartbeat,
    ) -> Result<(), ProviderError> {
        let key = self.heartbeat_key(place).await?;
        call!(self, &place.region, "PutItem", LostReply::Change, |client| {
            let request = client.put_item().table_name(&place.name);
            // An item of somebody else's that has this key stays as it is.
            let names = key.iter().take(1).map(|(name, _)| name.clone());
            let request =
                names.fold(request, |it, name| it.expression_attribute_names("#key", name));
            let request = request
                .condition_expression("attribute_not_exists(#key) OR #sign = :name")
                .expression_attribute_names("#sign", SIGN)
                .expression_attribute_values(":name", AttributeValue::S(NAME.into()))
                .item(SIGN, AttributeValue::S(NAME.into()))
                .item(AT, AttributeValue::N(heartbeat.at.to_string()))
                .item(REGION, AttributeValue::S(heartbeat.region.clone()))
                .item(EVERY, AttributeValue::N(heartbeat.every.to_string()));
            key.iter().fold(request, |it, (name, value)| it.item(name, value.clone()))
        })
        .map(drop)
    }

    /// The newest one that has come to this member.
    pub(crate) async fn read_heartbeat(
        &self,
        place: &TableRef,
    ) -> Result<Option<GroupHeartbeat>, ProviderError> {
        let key = self.heartbeat_key(place).await?;
        let answer = read!(self, &place.region, "GetItem", |client| {
            let request = client.get_item().table_name(&place.name).consistent_read(true);
            key.iter().fold(request, |it, (name, value)| it.key(name, value.clone()))
        })?;
        Ok(answer.item.and_then(|item| told(|name| item.get(name))))
    }

    async fn heartbeat_key(
        &self,
        place: &TableRef,
    ) -> Result<Vec<(String, AttributeValue)>, ProviderError> {
        let table = self.described(place).await?;
        let key = key_of(&table, NAME, NUMBER);
        // An attribute of the key that has one of these names holds something else.
        let own = [SIGN, AT, REGION, EVERY];
        key.filter(|it| it.iter().all(|(name, _)| !own.contains(&name.as_str()))).ok_or_else(|| {
            let words = format!("the key of `{}` is not supported", place.name);
            ProviderError::new(ErrorClass::Garbled, self.address(&place.region), words)
        })
    }
}

/// `None`: somebody else's item, or what somebody made of ours.
fn told<'a>(of: impl Fn(&str) -> Option<&'a AttributeValue>) -> Option<GroupHeartbeat> {
    Some(GroupHeartbeat {
        at: of(AT)?.as_n().ok()?.parse().ok()?,
        region: of(REGION)?.as_s().ok()?.clone(),
        every: of(EVERY)?.as_n().ok()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aws_sdk_dynamodb::types::AttributeValue;

    use super::{AT, EVERY, NUMBER, REGION, told};
    use crate::cloud::read::GroupHeartbeat;

    #[test]
    fn told_believes_no_item_that_is_not_whole() {
        let number = |it: &str| AttributeValue::N(it.into());
        let whole = BTreeMap::from([
            (AT.to_owned(), number("1795521600000")),
            (REGION.to_owned(), AttributeValue::S("us-east-1".into())),
            (EVERY.to_owned(), number("30")),
        ]);
        let at = 1_795_521_600_000;
        let expected = GroupHeartbeat { at, region: "us-east-1".into(), every: 30 };
        assert_eq!(told(|it| whole.get(it)), Some(expected));
        for (name, value) in [(AT, number("soon")), (EVERY, number("-1")), (REGION, number("1"))] {
            let mut broken = whole.clone();
            broken.insert(name.into(), value);
            assert_eq!(told(|it| broken.get(it)), None, "{name}");
            broken.remove(name);
            assert_eq!(told(|it| broken.get(it)), None, "{name}");
        }
        assert!(NUMBER.len() == 39 && NUMBER[1..].bytes().all(|it| it.is_ascii_digit()));
    }
}
