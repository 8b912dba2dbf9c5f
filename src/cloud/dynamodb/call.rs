//! One call in one region.

/// Sends an operation in a region: one attempt, its fault classified.
macro_rules! call {
    ($dynamo:expr, $region:expr, $operation:literal, $outcome:expr, |$client:ident| $make:expr) => {{
        let endpoint = format!("{} at {}", $operation, $dynamo.address($region));
        let region = $dynamo.in_region($region, &endpoint)?;
        let region = $outcome.timed(region, &$dynamo.connections);
        let $client = $dynamo.connections.dynamodb().await;
        let began = tokio::time::Instant::now();
        // Boxed: the SDK's futures are tens of kilobytes large.
        let answer = Box::pin($make.customize().config_override(region).send()).await;
        let milliseconds = began.elapsed().as_millis();
        {
            use aws_sdk_dynamodb::operation::RequestId as _;
            let (operation, region) = ($operation, $region.to_string());
            let (is_ok, request_id) = match &answer {
                Ok(done) => (true, done.request_id()),
                Err(error) => (false, error.request_id()),
            };
            tracing::debug!(operation, region, is_ok, milliseconds, request_id, "request");
        }
        let answer = answer.map_err(|error| {
            crate::cloud::dynamodb::error_class::failed(endpoint, $outcome, error)
        });
        let place = $dynamo.contact($region).name;
        $dynamo.connections.contacts.note(Some(&place), &answer, began.elapsed());
        answer
    }};
}

/// Sends a read as often as the engine has patience for.
macro_rules! read {
    ($dynamo:expr, $region:expr, $operation:literal, |$client:ident| $make:expr) => {{
        let settings = &$dynamo.connections.settings;
        // No patience is spent on a region that is never connected to.
        $dynamo.in_region($region, $operation)?;
        Box::pin(crate::cloud::retry::with_retry(
            &*settings.clock,
            crate::engine::retry::READING,
            &*settings.told,
            |_| async {
                call!(
                    $dynamo,
                    $region,
                    $operation,
                    crate::cloud::dynamodb::error_class::LostReply::Read,
                    |$client| $make
                )
            },
        ))
        .await
    }};
}
