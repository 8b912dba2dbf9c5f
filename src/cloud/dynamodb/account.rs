//! Which AWS account the credentials are of: asked of STS in whichever region answers.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::cloud::dynamodb::error_class::{LostReply, failed};
use crate::cloud::dynamodb::table_ref::Dynamo;
use crate::cloud::error::ProviderError;
use crate::cloud::http::bounded::Bounded;
use crate::cloud::retry::{in_turn, with_retry};
use crate::engine::retry::{ErrorClass, READING};

/// Asked in turn when neither environment nor profile names a region, or that one is silent.
const REGIONS: [&str; 4] = ["us-east-1", "us-west-2", "eu-west-1", "eu-central-1"];

/// How long one region is waited for before the next is asked as well. A guess: shorter would often ask two regions for
/// nothing, longer would delay every plan while the first region is down.
const STAGGER: Duration = Duration::from_millis(700);

impl Dynamo {
    /// The account's number. A disaster of one region must not keep anybody from knowing whose account this is.
    pub(crate) async fn caller(&self) -> Result<String, ProviderError> {
        let settings = &self.connections.settings;
        let own = self.connections.aws().await.region().map(ToString::to_string);
        let mut regions: Vec<String> = own.into_iter().collect();
        regions.extend(self.regions.used());
        for region in REGIONS {
            if !regions.iter().any(|it| it == region) {
                regions.push(region.to_owned());
            }
        }
        regions.retain(|it| !self.regions.is_lost(it));
        with_retry(&*settings.clock, READING, &*settings.told, |_| async {
            let passes_on = |it: &ProviderError| {
                matches!(it.fault, ErrorClass::Unreachable | ErrorClass::Transient)
            };
            let answer = in_turn(regions.clone(), STAGGER, passes_on, |region| {
                let dynamo = self.clone();
                async move { dynamo.caller_in(&region).await }
            });
            let none =
                || ProviderError::new(ErrorClass::Unreachable, "AWS STS", "every region is lost");
            answer.await.unwrap_or_else(|| Err(none()))
        })
        .await
    }

    /// What the account may have in a region, in the service's own words.
    pub(crate) async fn quotas(&self, region: &str) -> Result<Json, ProviderError> {
        let told = read!(self, region, "DescribeLimits", |client| client.describe_limits())?;
        Ok(json!({
            "AccountMaxReadCapacityUnits": told.account_max_read_capacity_units,
            "AccountMaxWriteCapacityUnits": told.account_max_write_capacity_units,
            "TableMaxReadCapacityUnits": told.table_max_read_capacity_units,
            "TableMaxWriteCapacityUnits": told.table_max_write_capacity_units,
        }))
    }

    async fn caller_in(&self, region: &str) -> Result<String, ProviderError> {
        let endpoint = format!("GetCallerIdentity at https://sts.{region}.amazonaws.com");
        self.connections.check_authorities(&endpoint)?;
        let config = aws_sdk_sts::config::Builder::from(self.connections.aws().await)
            .region(aws_config::Region::new(region.to_owned()))
            .interceptor(Bounded)
            .build();
        let sent = aws_sdk_sts::Client::from_conf(config).get_caller_identity().send();
        let answer = Box::pin(sent)
            .await
            .map_err(|error| failed(endpoint.clone(), LostReply::Read, error))?;
        answer.account.ok_or_else(|| {
            ProviderError::new(ErrorClass::Garbled, endpoint, "an answer without an account")
        })
    }
}
