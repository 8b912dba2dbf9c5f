//! Two copies of one state in two stores: which of them is believed, and which may be written to.
//!
//! The primary store decides. What goes on in one store alone is written down there before anything else, under a higher generation:
//! so a copy that did not go on is known as such by whoever sees the other one, and two that both went on are told apart from one
//! that is merely behind.

use crate::engine::state::copies_error::{CopiesError, check_named};
use crate::engine::state::stores_record::{
    ActiveStores, AloneReason, NamedStores, StoreRole, StoresRecord,
};

/// How far a copy is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CopyEnd {
    pub epoch: u64,
    pub serial: u64,
    /// The number of its last entry.
    pub sequence: u64,
}

/// One copy, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopySight {
    Seen {
        record: Option<StoresRecord>,
        end: CopyEnd,
    },
    /// Its store answered, and what it has is not what was written: the other one is believed as long as that is known to have all.
    Damaged {
        why: String,
        record: DamagedRecord,
    },
    /// Its store did not answer, and why.
    Unreachable(String),
    /// Its store is in this fault domain, which is declared lost, so it was not asked.
    Lost(String),
}

/// What the store of a damaged copy says of all stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DamagedRecord {
    /// As of any copy: whether the state went on in it alone is known.
    Read(Option<StoresRecord>),
    /// That is damaged as well: the state may have gone on in it alone. How far the copy is, if it alone is damaged.
    Unreadable(Option<CopyEnd>),
}

impl CopySight {
    fn record(&self) -> Option<&StoresRecord> {
        match self {
            Self::Seen { record, .. }
            | Self::Damaged { record: DamagedRecord::Read(record), .. } => record.as_ref(),
            Self::Damaged { .. } | Self::Unreachable(_) | Self::Lost(_) => None,
        }
    }

    fn is_damaged(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }

    /// Whether it is damaged, and the other one has all that was ever acknowledged in it: unless it went on alone, which is recorded.
    fn is_replaceable(&self) -> bool {
        matches!(self, Self::Damaged { record: DamagedRecord::Read(_), .. })
    }

    /// How far it is, if it was seen.
    pub fn end(&self) -> Option<CopyEnd> {
        match self {
            Self::Seen { end, .. } => Some(*end),
            Self::Damaged { .. } | Self::Unreachable(_) | Self::Lost(_) => None,
        }
    }

    fn is_seen(&self) -> bool {
        self.end().is_some()
    }

    /// Why it was not seen.
    fn silence(&self) -> String {
        match self {
            Self::Seen { .. } => String::new(),
            Self::Damaged { why, .. } | Self::Unreachable(why) => why.clone(),
            Self::Lost(domain) => format!("its fault domain {domain} is declared lost"),
        }
    }
}

/// What two copies that were seen are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyRelation {
    Same,
    /// This one has all that the other has, and more.
    Ahead(StoreRole),
    /// Each has something that the other does not have.
    Forked,
}

/// The third store, which keeps no state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WitnessSight {
    /// There is none.
    None,
    Seen(Option<StoresRecord>),
    Unreachable,
}

/// All that was seen of the stores of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiesSight {
    pub primary: CopySight,
    pub mirror: CopySight,
    /// Of no meaning unless both were seen.
    pub relation: CopyRelation,
    pub witness: WitnessSight,
}

/// What became of the copy that is not the one which is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtherCopy {
    Same,
    /// By so many entries; the next run that takes the lease catches it up.
    Behind(u64),
    /// It has entries that are not believed; the next run that takes the lease discards them.
    Forked,
    /// Nothing is written to it, by somebody's order.
    Suspended,
    /// The next run that takes the lease keeps what is left of it aside and catches it up.
    Damaged(String),
    /// And so is what it records of all stores: it may have gone on alone.
    Unknowable(String),
    Unreachable(String),
    Lost(String),
}

/// Which copy is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyStanding {
    pub believed: StoreRole,
    pub other: OtherCopy,
    /// What the stores record, unless nothing was recorded yet.
    pub record: Option<StoresRecord>,
    /// There is a witness, and it did not answer.
    pub is_witness_silent: bool,
}

impl CopyStanding {
    /// Whether a store is silent of which nobody said that it is lost, or cannot be understood, and nobody decided to go on without
    /// it: then a part of the world was not seen.
    pub fn is_unseen(&self) -> bool {
        let is_decided = self.record.as_ref().is_some_and(StoresRecord::is_alone);
        matches!(self.other, OtherCopy::Unreachable(_) | OtherCopy::Unknowable(_)) && !is_decided
    }
}

/// On what somebody wants to write, beside what every command may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum WritePermission {
    /// To all stores, or where two of three decide.
    #[default]
    Ordinary,
    /// A person's failover under the loss of these fault domains.
    UnderLoss(Vec<String>),
    /// `state mirror suspend`
    Suspend,
    /// `state mirror resume`
    Resume,
    /// `state resolve --keep`
    Keep(StoreRole),
    /// As a workspace: where the state of its stack goes on.
    Following(ActiveStores),
}

impl WritePermission {
    /// The fault domains that are declared lost.
    pub fn lost(&self) -> &[String] {
        match self {
            Self::UnderLoss(lost) => lost,
            Self::Ordinary | Self::Suspend | Self::Resume | Self::Keep(_) | Self::Following(_) => {
                &[]
            }
        }
    }
}

/// Where a holder of the lease writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteTarget {
    /// To both, the primary store first, once they are equal; `returns`: one has to be recorded as back.
    Both { returns: bool },
    /// To one, which is recorded first where it is new.
    Alone { role: StoreRole, new: Option<AloneReason> },
}

impl CopiesSight {
    pub fn of(&self, role: StoreRole) -> &CopySight {
        match role {
            StoreRole::Primary => &self.primary,
            StoreRole::Mirror => &self.mirror,
        }
    }

    /// The records that were seen.
    pub fn records(&self) -> impl Iterator<Item = &StoresRecord> {
        let witness = match &self.witness {
            WitnessSight::Seen(record) => record.as_ref(),
            WitnessSight::None | WitnessSight::Unreachable => None,
        };
        [self.primary.record(), self.mirror.record(), witness].into_iter().flatten()
    }

    /// The newest record of all that were seen: the one that follows the others. Of two that do not know of each other, the one of
    /// who goes on alone: that both go on is written to one store after the other, and holds once both have it.
    pub fn record(&self) -> Option<&StoresRecord> {
        self.records().reduce(|one, other| match (one.follows(other), other.follows(one)) {
            (true, _) => one,
            (false, false) if one.is_alone() == other.is_alone() => {
                if one.generation >= other.generation { one } else { other }
            }
            (false, false) if one.is_alone() => one,
            (false, _) => other,
        })
    }

    /// Whether both stores record that they went on alone, or have entries of which neither epoch is higher.
    fn is_diverged(&self) -> bool {
        if let (Some(one), Some(other)) = (self.primary.record(), self.mirror.record())
            && !one.follows(other)
            && !other.follows(one)
            && one.is_alone()
            && other.is_alone()
        {
            return true;
        }
        let (Some(primary), Some(mirror)) = (self.primary.end(), self.mirror.end()) else {
            return false;
        };
        let all = self.record().is_none_or(|it| it.active == ActiveStores::All);
        all && self.relation == CopyRelation::Forked && primary.epoch == mirror.epoch
    }

    /// Which copy a reader believes; it writes nothing.
    pub fn standing(&self, declared: &NamedStores) -> Result<CopyStanding, CopiesError> {
        let record = self.record();
        check_named(declared, record)?;
        if self.is_diverged() {
            return Err(self.diverged());
        }
        let believed = self.believed(record)?;
        let is_suspended = record.is_some_and(StoresRecord::is_suspended);
        let (one, other) = (self.of(believed), self.of(believed.other()));
        let other = match other {
            _ if is_suspended => OtherCopy::Suspended,
            CopySight::Unreachable(why) => OtherCopy::Unreachable(why.clone()),
            CopySight::Lost(domain) => OtherCopy::Lost(domain.clone()),
            CopySight::Damaged { why, .. } if other.is_replaceable() => {
                OtherCopy::Damaged(why.clone())
            }
            CopySight::Damaged { why, .. } => OtherCopy::Unknowable(why.clone()),
            // What it wrote after the other one went on alone.
            CopySight::Seen { end, .. }
                if record.is_some_and(|it| {
                    matches!(it.active, ActiveStores::Alone { after, .. } if end.sequence > after)
                }) =>
            {
                OtherCopy::Forked
            }
            CopySight::Seen { end, .. } => match self.relation {
                CopyRelation::Same => OtherCopy::Same,
                CopyRelation::Ahead(ahead) if ahead == believed => {
                    let ours = one.end().unwrap_or_default().sequence;
                    OtherCopy::Behind(ours.saturating_sub(end.sequence))
                }
                CopyRelation::Ahead(_) | CopyRelation::Forked => OtherCopy::Forked,
            },
        };
        let is_witness_silent = self.witness == WitnessSight::Unreachable;
        Ok(CopyStanding { believed, other, record: record.cloned(), is_witness_silent })
    }

    fn believed(&self, record: Option<&StoresRecord>) -> Result<StoreRole, CopiesError> {
        if let Some(ActiveStores::Alone { role, .. }) = record.map(|it| &it.active) {
            let why = || self.of(*role).silence();
            return match self.of(*role) {
                // Nobody else has it: whoever reads it says what is damaged.
                CopySight::Seen { .. } | CopySight::Damaged { .. } => Ok(*role),
                _ => Err(CopiesError::Superseded { role: *role, why: why() }),
            };
        }
        match (self.primary.end(), self.mirror.end()) {
            (None, None) if self.primary.is_damaged() && self.mirror.is_damaged() => {
                Err(CopiesError::BothDamaged {
                    primary: self.primary.silence(),
                    mirror: self.mirror.silence(),
                })
            }
            (None, None) => Err(CopiesError::NoneReadable {
                primary: self.primary.silence(),
                mirror: self.mirror.silence(),
                damaged: StoreRole::BOTH.into_iter().find(|it| self.of(*it).is_damaged()),
            }),
            (Some(_), None) => Ok(StoreRole::Primary),
            // Whoever reads it says what is damaged.
            (None, Some(_)) if self.has_one_copy() => Ok(StoreRole::Primary),
            (None, Some(_)) => Ok(StoreRole::Mirror),
            (Some(primary), Some(mirror)) => Ok(match self.relation {
                CopyRelation::Ahead(role) => role,
                CopyRelation::Forked if mirror.epoch > primary.epoch => StoreRole::Mirror,
                CopyRelation::Same | CopyRelation::Forked => StoreRole::Primary,
            }),
        }
    }

    fn diverged(&self) -> CopiesError {
        let told = |sight: &CopySight| {
            if let CopySight::Damaged { why, .. } = sight {
                return format!("a damaged copy ({why})");
            }
            let CopyEnd { epoch, serial, sequence } = sight.end().unwrap_or_default();
            format!("serial {serial}, entry {sequence}, epoch {epoch}")
        };
        let (primary, mirror) = (told(&self.primary), told(&self.mirror));
        CopiesError::Diverged {
            primary: format!("the primary store has {primary}"),
            mirror: format!("the mirror store has {mirror}"),
        }
    }

    /// Where somebody who wants the lease may write to. `domains`: the fault domains of the two stores.
    pub fn target(
        &self,
        declared: &NamedStores,
        domains: [&str; 2],
        permission: &WritePermission,
    ) -> Result<WriteTarget, CopiesError> {
        if let WritePermission::Keep(role) = permission {
            return self.kept(declared, *role);
        }
        let standing = self.standing(declared)?;
        let active = standing.record.as_ref().map_or(&ActiveStores::All, |it| &it.active);
        match active {
            ActiveStores::Alone { role, reason, .. } => {
                let is_resumed =
                    matches!(permission, WritePermission::Following(it) if !it.is_suspended());
                let is_suspended = *reason == AloneReason::Suspended && !is_resumed;
                match permission {
                    WritePermission::Suspend if *role == StoreRole::Mirror => {
                        return Err(CopiesError::NothingToSuspend);
                    }
                    WritePermission::Suspend if !is_suspended => {
                        let new = Some(AloneReason::Suspended);
                        return Ok(WriteTarget::Alone { role: *role, new });
                    }
                    WritePermission::Suspend => {}
                    _ if is_suspended && *permission != WritePermission::Resume => {}
                    _ if self.returns(*role, permission) => {
                        return Ok(WriteTarget::Both { returns: true });
                    }
                    WritePermission::Resume => {
                        if self.of(*role).is_damaged() {
                            return Err(self.not_alone(*role));
                        }
                        let (role, why) = (role.other(), self.of(role.other()).silence());
                        return Err(CopiesError::StillSilent { role, why });
                    }
                    _ => {}
                }
                Ok(WriteTarget::Alone { role: *role, new: None })
            }
            ActiveStores::All => self.target_of_all(domains, permission),
        }
    }

    /// Whether the primary store is damaged, and what the mirror has never was a copy of it: one that was caught up says so.
    fn has_one_copy(&self) -> bool {
        self.primary.is_damaged() && self.mirror.is_seen() && self.mirror.record().is_none()
    }

    /// Whether the other store can be caught up from this one, in which the state went on alone. What cannot be understood there is
    /// given up by a person's word only.
    fn returns(&self, role: StoreRole, permission: &WritePermission) -> bool {
        let other = self.of(role.other());
        let is_told = *permission == WritePermission::Resume && other.is_damaged();
        self.of(role).is_seen() && (other.is_seen() || other.is_replaceable() || is_told)
    }

    /// Where the state goes on in both as far as is known.
    fn target_of_all(
        &self,
        [primary, mirror]: [&str; 2],
        permission: &WritePermission,
    ) -> Result<WriteTarget, CopiesError> {
        let alone = |role, reason| Ok(WriteTarget::Alone { role, new: Some(reason) });
        // Where there is a witness, nothing but two of three decides: it, or the other store, has to know who goes on alone.
        let is_silent = self.witness == WitnessSight::Unreachable;
        if *permission == WritePermission::Suspend {
            let is_told = self.mirror.is_seen() || self.mirror.is_damaged();
            return if !self.primary.is_seen() {
                Err(self.not_alone(StoreRole::Primary))
            } else if is_silent && !is_told {
                Err(self.not_alone(StoreRole::Mirror))
            } else {
                alone(StoreRole::Primary, AloneReason::Suspended)
            };
        }
        if let WritePermission::Following(stack) = permission
            && stack.is_suspended()
            && self.primary.is_seen()
        {
            return alone(StoreRole::Primary, AloneReason::Suspended);
        }
        let silent = match (self.primary.is_seen(), self.mirror.is_seen()) {
            (true, true) => return Ok(WriteTarget::Both { returns: false }),
            (false, _) => StoreRole::Primary,
            (true, false) => StoreRole::Mirror,
        };
        if self.has_one_copy() {
            let (primary, mirror) =
                (self.primary.silence(), "the mirror was never caught up".into());
            return Err(CopiesError::BothDamaged { primary, mirror });
        }
        if let CopySight::Damaged { why, .. } = self.of(silent) {
            // Who goes on alone has two of three: the witness would know.
            let is_witnessed = matches!(self.witness, WitnessSight::Seen(Some(_)));
            if self.of(silent).is_replaceable() || is_witnessed {
                return Ok(WriteTarget::Both { returns: true });
            }
            return Err(CopiesError::Unknowable { role: silent, why: why.clone() });
        }
        if silent == StoreRole::Primary && self.mirror.record().is_none() {
            // It never was a copy, or is none yet: a mirror that was caught up says so.
            let why = "the mirror store was never caught up".into();
            return Err(CopiesError::NotAlone { silent, why, is_witness_silent: false });
        }
        if let WritePermission::Following(ActiveStores::Alone { role, reason, .. }) = permission
            && *role == silent.other()
        {
            return alone(*role, reason.clone());
        }
        let domain = match silent {
            StoreRole::Primary => primary,
            StoreRole::Mirror => mirror,
        };
        if let WritePermission::UnderLoss(lost) = permission
            && lost.iter().any(|it| it == domain)
            && !is_silent
        {
            return alone(silent.other(), AloneReason::Loss(lost.clone()));
        }
        match self.witness {
            // Whoever is first to write it into the witness has two of three.
            WitnessSight::Seen(_) => alone(silent.other(), AloneReason::Majority),
            WitnessSight::None | WitnessSight::Unreachable => Err(self.not_alone(silent)),
        }
    }

    fn not_alone(&self, silent: StoreRole) -> CopiesError {
        if let CopySight::Damaged { why, .. } = self.of(silent) {
            return CopiesError::CopyDamaged { role: silent, why: why.clone() };
        }
        let is_witness_silent = self.witness == WitnessSight::Unreachable;
        let witness = if is_witness_silent { ", and neither can the witness" } else { "" };
        let why = format!("{}{witness}", self.of(silent).silence());
        CopiesError::NotAlone { silent, why, is_witness_silent }
    }

    /// A person says which one goes on.
    fn kept(&self, declared: &NamedStores, role: StoreRole) -> Result<WriteTarget, CopiesError> {
        check_named(declared, self.record())?;
        let (one, other) = (self.of(role), self.of(role.other()));
        if let CopySight::Lost(domain) = one {
            return Err(CopiesError::KeptLost { role, domain: domain.clone() });
        }
        // What the copy says of all stores is written anew.
        let is_whole =
            matches!(one, CopySight::Damaged { record: DamagedRecord::Unreadable(Some(_)), .. });
        let is_restorable = one.is_damaged() && (!other.is_seen() || self.has_one_copy());
        if !one.is_seen() && !is_restorable && !is_whole {
            let why = one.silence();
            return Err(match one {
                CopySight::Damaged { .. } => CopiesError::CopyDamaged { role, why },
                _ => CopiesError::Superseded { role, why },
            });
        }
        if self.is_diverged()
            || is_restorable
            || is_whole
            || !other.is_seen() && !other.is_damaged()
        {
            return Ok(WriteTarget::Alone { role, new: Some(AloneReason::Kept) });
        }
        if other.is_seen() {
            return Err(CopiesError::NothingToResolve);
        }
        let is_superseded = matches!(
            self.record().map(|it| &it.active),
            Some(ActiveStores::Alone { role: alone, .. }) if *alone != role
        );
        // What is damaged in the other one is given up: at once, unless the state went on there.
        Ok(if !is_superseded {
            WriteTarget::Both { returns: true }
        } else {
            WriteTarget::Alone { role, new: Some(AloneReason::Kept) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        ActiveStores, AloneReason, CopiesError, CopiesSight, CopyEnd, CopyRelation, CopySight,
        DamagedRecord, NamedStores, OtherCopy, StoreRole, StoresRecord, WitnessSight,
        WritePermission, WriteTarget,
    };

    const DOMAINS: [&str; 2] = ["aws:us-east-1", "aws:us-west-2"];

    fn named(witness: bool) -> NamedStores {
        NamedStores {
            primary: "p".into(),
            mirror: Some("m".into()),
            witness: witness.then(|| "w".into()),
        }
    }

    fn record(generation: u64, active: ActiveStores, witness: bool) -> StoresRecord {
        let before = (1..generation).map(|it| format!("r{it}")).collect();
        let id = match &active {
            ActiveStores::All => format!("r{generation}"),
            ActiveStores::Alone { role, .. } => format!("{}{generation}", role.as_str()),
        };
        let (named, by) = (named(witness), "ann".into());
        StoresRecord { generation, id, before, named, active, by, at: 0 }
    }

    fn alone(role: StoreRole, reason: AloneReason) -> ActiveStores {
        ActiveStores::Alone { role, reason, after: 40 }
    }

    fn seen(record: StoresRecord, epoch: u64, sequence: u64) -> CopySight {
        CopySight::Seen { record: Some(record), end: CopyEnd { epoch, serial: 3, sequence } }
    }

    /// What may have become of two stores; `w`: there is a witness.
    fn situations(w: bool) -> Vec<(&'static str, CopiesSight)> {
        let all = || record(4, ActiveStores::All, w);
        let lost = || AloneReason::Loss(vec![DOMAINS[0].into()]);
        let promoted = || record(5, alone(StoreRole::Mirror, lost()), w);
        let suspended = || record(5, alone(StoreRole::Primary, AloneReason::Suspended), w);
        let majority = |role| record(5, alone(role, AloneReason::Majority), w);
        let silent = || CopySight::Unreachable("timed out".into());
        let gone = || CopySight::Lost(DOMAINS[0].into());
        let damaged = |record| CopySight::Damaged { why: "head is damaged".into(), record };
        let never = || CopySight::Seen { record: None, end: CopyEnd::default() };
        let garbled = || damaged(DamagedRecord::Unreadable(None));
        let unnamed = || {
            damaged(DamagedRecord::Unreadable(Some(CopyEnd { epoch: 8, serial: 4, sequence: 50 })))
        };
        let broken = |record| damaged(DamagedRecord::Read(Some(record)));
        let same = CopyRelation::Same;
        let ahead = CopyRelation::Ahead;
        let forked = CopyRelation::Forked;
        let (p, m) = (StoreRole::Primary, StoreRole::Mirror);
        let rows = [
            ("both alive", seen(all(), 7, 40), seen(all(), 7, 40), same),
            ("mirror behind", seen(all(), 7, 42), seen(all(), 7, 40), ahead(p)),
            ("primary rolled back", seen(all(), 6, 31), seen(all(), 7, 40), ahead(m)),
            ("forked, mirror's epoch higher", seen(all(), 7, 41), seen(all(), 8, 41), forked),
            ("forked, equal epochs", seen(all(), 7, 41), seen(all(), 7, 41), forked),
            ("mirror unreachable", seen(all(), 7, 40), silent(), same),
            ("primary unreachable", silent(), seen(all(), 7, 40), same),
            ("primary lost", gone(), seen(all(), 7, 40), same),
            ("both unreachable", silent(), silent(), same),
            ("promoted, primary lost", gone(), seen(promoted(), 8, 50), same),
            ("promoted, primary unreachable", silent(), seen(promoted(), 8, 50), same),
            ("promoted, mirror unreachable", seen(all(), 7, 41), silent(), same),
            ("promoted, primary back", seen(all(), 7, 41), seen(promoted(), 8, 50), forked),
            ("suspended, mirror unreachable", seen(suspended(), 8, 50), silent(), same),
            ("suspended, mirror back", seen(suspended(), 8, 50), seen(all(), 7, 40), ahead(p)),
            ("suspended, primary unreachable", silent(), seen(suspended(), 7, 40), same),
            ("both went on alone", seen(suspended(), 8, 50), seen(promoted(), 8, 46), forked),
            ("two of three, mirror back", seen(majority(p), 8, 50), seen(all(), 7, 40), ahead(p)),
            ("two of three, primary back", seen(all(), 7, 40), seen(majority(m), 8, 50), ahead(m)),
            ("primary damaged", broken(all()), seen(all(), 7, 40), same),
            ("mirror damaged", seen(all(), 7, 40), broken(all()), same),
            ("primary's record damaged", garbled(), seen(all(), 7, 40), same),
            ("mirror's record damaged", seen(all(), 7, 40), garbled(), same),
            ("both damaged", broken(all()), garbled(), same),
            ("mirror damaged, primary silent", silent(), broken(all()), same),
            ("promoted, primary damaged", broken(all()), seen(promoted(), 8, 50), same),
            ("promoted, primary's record damaged", garbled(), seen(promoted(), 8, 50), same),
            ("promoted, mirror's record damaged", seen(all(), 7, 41), unnamed(), same),
            ("promoted, mirror damaged", seen(all(), 7, 41), broken(promoted()), same),
            ("primary damaged, mirror never caught up", broken(all()), never(), same),
        ];
        rows.into_iter()
            .map(|(name, primary, mirror, relation)| {
                let witness = WitnessSight::None;
                (name, CopiesSight { primary, mirror, relation, witness })
            })
            .collect()
    }

    fn refusal(why: &CopiesError) -> String {
        let exit = if why.is_silence() { 5 } else { 3 };
        let what = match why {
            CopiesError::Diverged { .. } => "diverged",
            CopiesError::Renamed { .. } => "other stores",
            CopiesError::Superseded { .. } => "superseded",
            CopiesError::NoneReadable { .. } => "nothing readable",
            CopiesError::NotAlone { .. } => "not alone",
            CopiesError::KeptLost { .. } => "declared lost",
            CopiesError::BothDamaged { .. } => "both damaged",
            CopiesError::CopyDamaged { .. } | CopiesError::KeptDamaged { .. } => "damaged",
            CopiesError::StillSilent { .. } => "not back",
            CopiesError::Unknowable { .. } => "cannot be told",
            CopiesError::NothingToResolve => "nothing to resolve",
            CopiesError::NothingToSuspend => "nothing to suspend",
        };
        format!("{what} ({exit})")
    }

    fn read(sight: &CopiesSight, declared: &NamedStores) -> String {
        match sight.standing(declared) {
            Err(why) => refusal(&why),
            Ok(it) => {
                let other = match it.other {
                    OtherCopy::Same => "same".into(),
                    OtherCopy::Behind(by) => format!("other behind by {by}"),
                    OtherCopy::Forked => "other forked".into(),
                    OtherCopy::Suspended => "suspended".into(),
                    OtherCopy::Damaged(_) => "other damaged".into(),
                    OtherCopy::Unknowable(_) => "other cannot be understood (5)".into(),
                    OtherCopy::Unreachable(_) => "other silent (5)".into(),
                    OtherCopy::Lost(_) => "other lost".into(),
                };
                format!("{}, {other}", it.believed.as_str())
            }
        }
    }

    fn written(
        sight: &CopiesSight,
        declared: &NamedStores,
        permission: &WritePermission,
    ) -> String {
        match sight.target(declared, DOMAINS, permission) {
            Err(why) => refusal(&why),
            Ok(WriteTarget::Both { returns: false }) => "both".into(),
            Ok(WriteTarget::Both { returns: true }) => "both, again".into(),
            Ok(WriteTarget::Alone { role, new: None }) => role.as_str().into(),
            Ok(WriteTarget::Alone { role, new: Some(why) }) => {
                let why = match why {
                    AloneReason::Suspended => "suspends",
                    AloneReason::Loss(_) => "promotes",
                    AloneReason::Majority => "two of three",
                    AloneReason::Kept | AloneReason::Migrated => "keeps",
                };
                format!("{} {why}", role.as_str())
            }
        }
    }

    fn table(w: bool, witness: &WitnessSight) -> String {
        let lost = [DOMAINS[0].to_owned()];
        let elsewhere = ["linode:us-east".to_owned()];
        let columns = [
            // Plain applies, failbacks and the watcher's failovers are nobody's decision.
            ("apply, failback, watch", WritePermission::Ordinary),
            ("failover, primary's loss", WritePermission::UnderLoss(lost.to_vec())),
            ("failover, mirror's loss", WritePermission::UnderLoss(vec![DOMAINS[1].into()])),
            ("failover, another loss", WritePermission::UnderLoss(elsewhere.to_vec())),
            ("suspend", WritePermission::Suspend),
            ("resume", WritePermission::Resume),
            ("keep primary", WritePermission::Keep(StoreRole::Primary)),
            ("keep mirror", WritePermission::Keep(StoreRole::Mirror)),
        ];
        let mut lines = Vec::new();
        for (name, sight) in situations(w) {
            let sight = CopiesSight { witness: witness.clone(), ..sight };
            lines.push(format!("{name}: reader: {}", read(&sight, &named(w))));
            let old = NamedStores { mirror: None, ..named(w) };
            let writers =
                columns.clone().map(|(_, permission)| written(&sight, &named(w), &permission));
            lines.push(format!("    {} | old commit: {}", writers.join(" | "), read(&sight, &old)));
        }
        format!("{}\n{}", columns.map(|(it, _)| it).join(" | "), lines.join("\n"))
    }

    #[test]
    fn standing_and_target_of_two_stores() {
        insta::assert_snapshot!(table(false, &WitnessSight::None), @r#"
apply, failback, watch | failover, primary's loss | failover, mirror's loss | failover, another loss | suspend | resume | keep primary | keep mirror
both alive: reader: primary, same
    both | both | both | both | primary suspends | both | nothing to resolve (3) | nothing to resolve (3) | old commit: other stores (3)
mirror behind: reader: primary, other behind by 2
    both | both | both | both | primary suspends | both | nothing to resolve (3) | nothing to resolve (3) | old commit: other stores (3)
primary rolled back: reader: mirror, other behind by 9
    both | both | both | both | primary suspends | both | nothing to resolve (3) | nothing to resolve (3) | old commit: other stores (3)
forked, mirror's epoch higher: reader: mirror, other forked
    both | both | both | both | primary suspends | both | nothing to resolve (3) | nothing to resolve (3) | old commit: other stores (3)
forked, equal epochs: reader: diverged (3)
    diverged (3) | diverged (3) | diverged (3) | diverged (3) | diverged (3) | diverged (3) | primary keeps | mirror keeps | old commit: other stores (3)
mirror unreachable: reader: primary, other silent (5)
    not alone (5) | not alone (5) | primary promotes | not alone (5) | primary suspends | not alone (5) | primary keeps | superseded (5) | old commit: other stores (3)
primary unreachable: reader: mirror, other silent (5)
    not alone (5) | mirror promotes | not alone (5) | not alone (5) | not alone (5) | not alone (5) | superseded (5) | mirror keeps | old commit: other stores (3)
primary lost: reader: mirror, other lost
    not alone (5) | mirror promotes | not alone (5) | not alone (5) | not alone (5) | not alone (5) | declared lost (3) | mirror keeps | old commit: other stores (3)
both unreachable: reader: nothing readable (5)
    nothing readable (5) | nothing readable (5) | nothing readable (5) | nothing readable (5) | nothing readable (5) | nothing readable (5) | superseded (5) | superseded (5) | old commit: nothing readable (5)
promoted, primary lost: reader: mirror, other lost
    mirror | mirror | mirror | mirror | nothing to suspend (3) | not back (5) | declared lost (3) | mirror keeps | old commit: other stores (3)
promoted, primary unreachable: reader: mirror, other silent (5)
    mirror | mirror | mirror | mirror | nothing to suspend (3) | not back (5) | superseded (5) | mirror keeps | old commit: other stores (3)
promoted, mirror unreachable: reader: primary, other silent (5)
    not alone (5) | not alone (5) | primary promotes | not alone (5) | primary suspends | not alone (5) | primary keeps | superseded (5) | old commit: other stores (3)
promoted, primary back: reader: mirror, other forked
    both, again | both, again | both, again | both, again | nothing to suspend (3) | both, again | nothing to resolve (3) | nothing to resolve (3) | old commit: other stores (3)
suspended, mirror unreachable: reader: primary, suspended
    primary | primary | primary | primary | primary | not back (5) | primary keeps | superseded (5) | old commit: other stores (3)
suspended, mirror back: reader: primary, suspended
    primary | primary | primary | primary | primary | both, again | nothing to resolve (3) | nothing to resolve (3) | old commit: other stores (3)
suspended, primary unreachable: reader: superseded (5)
    superseded (5) | superseded (5) | superseded (5) | superseded (5) | superseded (5) | superseded (5) | superseded (5) | mirror keeps | old commit: other stores (3)
both went on alone: reader: diverged (3)
    diverged (3) | diverged (3) | diverged (3) | diverged (3) | diverged (3) | diverged (3) | primary keeps | mirror keeps | old commit: other stores (3)
two of three, mirror back: reader: primary, other behind by 10
    both, again | both, again | both, again | both, again | primary suspends | both, again | nothing to resolve (3) | nothing to resolve (3) | old commit: other stores (3)
two of three, primary back: reader: mirror, other behind by 10
    both, again | both, again | both, again | both, again | nothing to suspend (3) | both, again | nothing to resolve (3) | nothing to resolve (3) | old commit: other stores (3)
primary damaged: reader: mirror, other damaged
    both, again | both, again | both, again | both, again | damaged (3) | both, again | damaged (3) | both, again | old commit: other stores (3)
mirror damaged: reader: primary, other damaged
    both, again | both, again | both, again | both, again | primary suspends | both, again | both, again | damaged (3) | old commit: other stores (3)
primary's record damaged: reader: mirror, other cannot be understood (5)
    cannot be told (3) | cannot be told (3) | cannot be told (3) | cannot be told (3) | damaged (3) | cannot be told (3) | damaged (3) | both, again | old commit: other stores (3)
mirror's record damaged: reader: primary, other cannot be understood (5)
    cannot be told (3) | cannot be told (3) | cannot be told (3) | cannot be told (3) | primary suspends | cannot be told (3) | both, again | damaged (3) | old commit: other stores (3)
both damaged: reader: both damaged (3)
    both damaged (3) | both damaged (3) | both damaged (3) | both damaged (3) | both damaged (3) | both damaged (3) | primary keeps | mirror keeps | old commit: other stores (3)
mirror damaged, primary silent: reader: nothing readable (5)
    nothing readable (5) | nothing readable (5) | nothing readable (5) | nothing readable (5) | nothing readable (5) | nothing readable (5) | superseded (5) | mirror keeps | old commit: other stores (3)
promoted, primary damaged: reader: mirror, other damaged
    both, again | both, again | both, again | both, again | nothing to suspend (3) | both, again | damaged (3) | both, again | old commit: other stores (3)
promoted, primary's record damaged: reader: mirror, other cannot be understood (5)
    mirror | mirror | mirror | mirror | nothing to suspend (3) | both, again | damaged (3) | both, again | old commit: other stores (3)
promoted, mirror's record damaged: reader: primary, other cannot be understood (5)
    cannot be told (3) | cannot be told (3) | cannot be told (3) | cannot be told (3) | primary suspends | cannot be told (3) | both, again | mirror keeps | old commit: other stores (3)
promoted, mirror damaged: reader: mirror, other forked
    mirror | mirror | mirror | mirror | nothing to suspend (3) | damaged (3) | primary keeps | damaged (3) | old commit: other stores (3)
primary damaged, mirror never caught up: reader: primary, same
    both damaged (3) | both damaged (3) | both damaged (3) | both damaged (3) | damaged (3) | both damaged (3) | primary keeps | both, again | old commit: other stores (3)
"#);
    }

    #[test]
    fn standing_and_target_of_two_stores_and_a_witness() {
        let seen = WitnessSight::Seen(Some(record(4, ActiveStores::All, true)));
        insta::assert_snapshot!(table(true, &seen), @r#"
apply, failback, watch | failover, primary's loss | failover, mirror's loss | failover, another loss | suspend | resume | keep primary | keep mirror
both alive: reader: primary, same
    both | both | both | both | primary suspends | both | nothing to resolve (3) | nothing to resolve (3) | old commit: other stores (3)
mirror behind: reader: primary, other behind by 2
    both | both | both | both | primary suspends | both | nothing to resolve (3) | nothing to resolve (3) | old commit: other stores (3)
primary rolled back: reader: mirror, other behind by 9
    both | both | both | both | primary suspends | both | nothing to resolve (3) | nothing to resolve (3) | old commit: other stores (3)
forked, mirror's epoch higher: reader: mirror, other forked
    both | both | both | both | primary suspends | both | nothing to resolve (3) | nothing to resolve (3) | old commit: other stores (3)
forked, equal epochs: reader: diverged (3)
    diverged (3) | diverged (3) | diverged (3) | diverged (3) | diverged (3) | diverged (3) | primary keeps | mirror keeps | old commit: other stores (3)
mirror unreachable: reader: primary, other silent (5)
    primary two of three | primary two of three | primary promotes | primary two of three | primary suspends | primary two of three | primary keeps | superseded (5) | old commit: other stores (3)
primary unreachable: reader: mirror, other silent (5)
    mirror two of three | mirror promotes | mirror two of three | mirror two of three | not alone (5) | mirror two of three | superseded (5) | mirror keeps | old commit: other stores (3)
primary lost: reader: mirror, other lost
    mirror two of three | mirror promotes | mirror two of three | mirror two of three | not alone (5) | mirror two of three | declared lost (3) | mirror keeps | old commit: other stores (3)
both unreachable: reader: nothing readable (5)
    nothing readable (5) | nothing readable (5) | nothing readable (5) | nothing readable (5) | nothing readable (5) | nothing readable (5) | superseded (5) | superseded (5) | old commit: other stores (3)
promoted, primary lost: reader: mirror, other lost
    mirror | mirror | mirror | mirror | nothing to suspend (3) | not back (5) | declared lost (3) | mirror keeps | old commit: other stores (3)
promoted, primary unreachable: reader: mirror, other silent (5)
    mirror | mirror | mirror | mirror | nothing to suspend (3) | not back (5) | superseded (5) | mirror keeps | old commit: other stores (3)
promoted, mirror unreachable: reader: primary, other silent (5)
    primary two of three | primary two of three | primary promotes | primary two of three | primary suspends | primary two of three | primary keeps | superseded (5) | old commit: other stores (3)
promoted, primary back: reader: mirror, other forked
    both, again | both, again | both, again | both, again | nothing to suspend (3) | both, again | nothing to resolve (3) | nothing to resolve (3) | old commit: other stores (3)
suspended, mirror unreachable: reader: primary, suspended
    primary | primary | primary | primary | primary | not back (5) | primary keeps | superseded (5) | old commit: other stores (3)
suspended, mirror back: reader: primary, suspended
    primary | primary | primary | primary | primary | both, again | nothing to resolve (3) | nothing to resolve (3) | old commit: other stores (3)
suspended, primary unreachable: reader: superseded (5)
    superseded (5) | superseded (5) | superseded (5) | superseded (5) | superseded (5) | superseded (5) | superseded (5) | mirror keeps | old commit: other stores (3)
both went on alone: reader: diverged (3)
    diverged (3) | diverged (3) | diverged (3) | diverged (3) | diverged (3) | diverged (3) | primary keeps | mirror keeps | old commit: other stores (3)
two of three, mirror back: reader: primary, other behind by 10
    both, again | both, again | both, again | both, again | primary suspends | both, again | nothing to resolve (3) | nothing to resolve (3) | old commit: other stores (3)
two of three, primary back: reader: mirror, other behind by 10
    both, again | both, again | both, again | both, again | nothing to suspend (3) | both, again | nothing to resolve (3) | nothing to resolve (3) | old commit: other stores (3)
primary damaged: reader: mirror, other damaged
    both, again | both, again | both, again | both, again | damaged (3) | both, again | damaged (3) | both, again | old commit: other stores (3)
mirror damaged: reader: primary, other damaged
    both, again | both, again | both, again | both, again | primary suspends | both, again | both, again | damaged (3) | old commit: other stores (3)
primary's record damaged: reader: mirror, other cannot be understood (5)
    both, again | both, again | both, again | both, again | damaged (3) | both, again | damaged (3) | both, again | old commit: other stores (3)
mirror's record damaged: reader: primary, other cannot be understood (5)
    both, again | both, again | both, again | both, again | primary suspends | both, again | both, again | damaged (3) | old commit: other stores (3)
both damaged: reader: both damaged (3)
    both damaged (3) | both damaged (3) | both damaged (3) | both damaged (3) | both damaged (3) | both damaged (3) | primary keeps | mirror keeps | old commit: other stores (3)
mirror damaged, primary silent: reader: nothing readable (5)
    nothing readable (5) | nothing readable (5) | nothing readable (5) | nothing readable (5) | nothing readable (5) | nothing readable (5) | superseded (5) | mirror keeps | old commit: other stores (3)
promoted, primary damaged: reader: mirror, other damaged
    both, again | both, again | both, again | both, again | nothing to suspend (3) | both, again | damaged (3) | both, again | old commit: other stores (3)
promoted, primary's record damaged: reader: mirror, other cannot be understood (5)
    mirror | mirror | mirror | mirror | nothing to suspend (3) | both, again | damaged (3) | both, again | old commit: other stores (3)
promoted, mirror's record damaged: reader: primary, other cannot be understood (5)
    both, again | both, again | both, again | both, again | primary suspends | both, again | both, again | mirror keeps | old commit: other stores (3)
promoted, mirror damaged: reader: mirror, other forked
    mirror | mirror | mirror | mirror | nothing to suspend (3) | damaged (3) | primary keeps | damaged (3) | old commit: other stores (3)
primary damaged, mirror never caught up: reader: primary, same
    both damaged (3) | both damaged (3) | both damaged (3) | both damaged (3) | damaged (3) | both damaged (3) | primary keeps | both, again | old commit: other stores (3)
"#);
    }

    #[test]
    fn target_while_the_witness_is_silent_is_never_one_store_alone() {
        let lines = |is, witness| -> Vec<String> {
            table(is, &witness).lines().map(|it| it.trim().to_owned()).collect()
        };
        let with = lines(true, WitnessSight::Unreachable);
        let without = lines(false, WitnessSight::None);
        let differing = with.iter().enumerate().filter(|(at, it)| **it != without[*at]);
        let told: Vec<String> =
            differing.map(|(at, it)| format!("{}\n    {it}", with[at - 1])).collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
mirror unreachable: reader: primary, other silent (5)
    not alone (5) | not alone (5) | not alone (5) | not alone (5) | not alone (5) | not alone (5) | primary keeps | superseded (5) | old commit: other stores (3)
primary unreachable: reader: mirror, other silent (5)
    not alone (5) | not alone (5) | not alone (5) | not alone (5) | not alone (5) | not alone (5) | superseded (5) | mirror keeps | old commit: other stores (3)
primary lost: reader: mirror, other lost
    not alone (5) | not alone (5) | not alone (5) | not alone (5) | not alone (5) | not alone (5) | declared lost (3) | mirror keeps | old commit: other stores (3)
promoted, mirror unreachable: reader: primary, other silent (5)
    not alone (5) | not alone (5) | not alone (5) | not alone (5) | not alone (5) | not alone (5) | primary keeps | superseded (5) | old commit: other stores (3)
"#);
    }

    /// A workspace has stores of its own record, and goes on where its stack does.
    #[test]
    fn target_of_a_workspace_follows_its_stack() {
        let lost = AloneReason::Loss(vec![DOMAINS[0].into()]);
        let (p, m) = (StoreRole::Primary, StoreRole::Mirror);
        let stacks = [
            ("all", ActiveStores::All),
            ("promoted", alone(m, lost)),
            ("two of three", alone(p, AloneReason::Majority)),
            ("suspended", alone(p, AloneReason::Suspended)),
        ];
        let named_rows = [
            "both alive",
            "mirror unreachable",
            "primary lost",
            "both unreachable",
            "promoted, primary lost",
            "promoted, primary back",
            "suspended, mirror unreachable",
            "suspended, mirror back",
            "primary damaged",
        ];
        let mut lines = vec![stacks.clone().map(|(name, _)| name).join(" | ")];
        for (name, sight) in situations(false).into_iter().filter(|it| named_rows.contains(&it.0)) {
            let told = stacks.clone().map(|(_, stack)| {
                written(&sight, &named(false), &WritePermission::Following(stack))
            });
            lines.push(format!("{name}: {}", told.join(" | ")));
        }
        insta::assert_snapshot!(lines.join("\n"), @r#"
all | promoted | two of three | suspended
both alive: both | both | both | primary suspends
mirror unreachable: not alone (5) | not alone (5) | primary two of three | primary suspends
primary lost: not alone (5) | mirror promotes | not alone (5) | not alone (5)
both unreachable: nothing readable (5) | nothing readable (5) | nothing readable (5) | nothing readable (5)
promoted, primary lost: mirror | mirror | mirror | mirror
promoted, primary back: both, again | both, again | both, again | both, again
suspended, mirror unreachable: primary | primary | primary | primary
suspended, mirror back: both, again | both, again | both, again | primary
primary damaged: both, again | both, again | both, again | both, again
"#);
    }

    #[test]
    fn witness_knows_who_went_on_alone() {
        // The primary store went on with the witness, and cannot be reached now: the mirror store knows nothing of it.
        let alone = alone(StoreRole::Primary, AloneReason::Majority);
        let sight = CopiesSight {
            primary: CopySight::Unreachable("timed out".into()),
            mirror: seen(record(4, ActiveStores::All, true), 7, 40),
            relation: CopyRelation::Same,
            witness: WitnessSight::Seen(Some(record(5, alone, true))),
        };
        let lost = [DOMAINS[0].to_owned()];
        assert_eq!(read(&sight, &named(true)), "superseded (5)");
        for permission in [WritePermission::Ordinary, WritePermission::UnderLoss(lost.to_vec())] {
            assert_eq!(written(&sight, &named(true), &permission), "superseded (5)");
        }
    }
}
