//! Parts of a plan that its JSON shapes otherwise than the types do: two fields for one value, or one for two.

/// `{ "from": …, "to": … }`, or null.
pub(super) mod overlay_change {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Overlays = Vec<String>;

    #[derive(Serialize, Deserialize)]
    struct FromTo<T> {
        from: T,
        to: T,
    }

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(crate) fn serialize<S: Serializer>(
        it: &Option<(Overlays, Overlays)>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        it.as_ref().map(|(from, to)| FromTo { from, to }).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<(Overlays, Overlays)>, D::Error> {
        let it = Option::<FromTo<Overlays>>::deserialize(from)?;
        Ok(it.map(|it| (it.from, it.to)))
    }
}

/// `since` and `by`, both null where the plan itself assumes the loss.
pub(super) mod recorded_loss {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct SinceBy {
        since: Option<i64>,
        by: Option<String>,
    }

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(crate) fn serialize<S: Serializer>(
        it: &Option<(i64, String)>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let (since, by) = it.clone().unzip();
        SinceBy { since, by }.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<(i64, String)>, D::Error> {
        let it = SinceBy::deserialize(from)?;
        Ok(it.since.zip(it.by))
    }
}

/// `unknown`, the words or null, and `unknown_reason`, which older plans do not have: they knew only silence.
pub(super) mod unknown {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::engine::observed::{UnknownReason, Unreadable};

    #[derive(Serialize, Deserialize)]
    struct WordsAndReason {
        #[serde(alias = "unseen")]
        unknown: Option<String>,
        #[serde(default, alias = "unseen_reason", skip_serializing_if = "Option::is_none")]
        unknown_reason: Option<UnknownReason>,
    }

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(crate) fn serialize<S: Serializer>(
        it: &Option<Unreadable>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let (unknown, unknown_reason) = it.clone().map(|it| (it.why, it.reason)).unzip();
        WordsAndReason { unknown, unknown_reason }.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Unreadable>, D::Error> {
        let WordsAndReason { unknown, unknown_reason } = WordsAndReason::deserialize(from)?;
        let reason = unknown_reason.unwrap_or(UnknownReason::Unreachable);
        Ok(unknown.map(|why| Unreadable::new(reason, why)))
    }
}
