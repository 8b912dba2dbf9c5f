//! The codes of diagnostics: stable names that pipelines match, each declared once.

use std::fmt;

/// Declares the codes with the names under which plans, JSON, and screens have them.
macro_rules! codes {
    ($($code:ident = $name:literal,)+) => {
        /// What is wrong, as a name that stays the same while the sentences beside it are improved.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DiagnosticCode {
            $($code,)+
        }

        impl DiagnosticCode {
            /// Every code, in the order of the alphabet.
            pub const ALL: &[Self] = &[$(Self::$code,)+];

            /// `unknown_attribute`
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)+
                }
            }
        }
    };
}

codes! {
    AccountRefuses = "account_refuses",
    AliasBomb = "alias_bomb",
    AllowanceExpired = "allowance_expired",
    AllowanceTooLong = "allowance_too_long",
    AllowanceUsed = "allowance_used",
    BadAddress = "bad_address",
    BadDuration = "bad_duration",
    BadExpression = "bad_expression",
    BadFaultDomain = "bad_fault_domain",
    BadKey = "bad_key",
    BadName = "bad_name",
    BadPolicy = "bad_policy",
    BadRule = "bad_rule",
    BadStore = "bad_store",
    BadTask = "bad_task",
    BadTemplate = "bad_template",
    BrokenRule = "broken_rule",
    BrokenYaml = "broken_yaml",
    CannotRename = "cannot_rename",
    CatalogueUnread = "catalogue_unread",
    CloudLost = "cloud_lost",
    CloudProtection = "cloud_protection",
    ComplexKey = "complex_key",
    ComputedAttribute = "computed_attribute",
    CountAndForEach = "count_and_for_each",
    Cycle = "cycle",
    DataLoss = "data_loss",
    Denied = "denied",
    DriftDirects = "drift_directs",
    DriftOverruled = "drift_overruled",
    DriftReplaces = "drift_replaces",
    DrillActsOnPlain = "drill_acts_on_plain",
    DuplicateKey = "duplicate_key",
    EmptiesServingSet = "empties_serving_set",
    EmptyFile = "empty_file",
    EndlessAlias = "endless_alias",
    Exchange = "exchange",
    ExistsAlready = "exists_already",
    ExpressionInDefault = "expression_in_default",
    FailedExpression = "failed_expression",
    FileProblem = "file_problem",
    FileTooLarge = "file_too_large",
    ForeignRecord = "foreign_record",
    GateNeverOpens = "gate_never_opens",
    GateSkipped = "gate_skipped",
    GrantsUnread = "grants_unread",
    HalfDestroyed = "half_destroyed",
    InstanceCollision = "instance_collision",
    IntegerTooBig = "integer_too_big",
    KindChanged = "kind_changed",
    LeadingZero = "leading_zero",
    LeadsIntoLost = "leads_into_lost",
    LiveValue = "live_value",
    LossStays = "loss_stays",
    LostDependency = "lost_dependency",
    LostTarget = "lost_target",
    Malformed = "malformed",
    ManyAbsent = "many_absent",
    ManyDestroys = "many_destroys",
    MergeKey = "merge_key",
    MissingAttribute = "missing_attribute",
    MissingKey = "missing_key",
    MissingSecret = "missing_secret",
    MissingVariable = "missing_variable",
    NameNotFree = "name_not_free",
    NameTaken = "name_taken",
    NeverMade = "never_made",
    NeverRecorded = "never_recorded",
    NoServingOrder = "no_serving_order",
    NotAvailable = "not_available",
    NotFinite = "not_finite",
    NotGranted = "not_granted",
    NotKnown = "not_known",
    NotKnownHere = "not_known_here",
    NotOffered = "not_offered",
    NotOneOf = "not_one_of",
    NotText = "not_text",
    NotUtf8 = "not_utf8",
    NothingAllowed = "nothing_allowed",
    NothingToBorrow = "nothing_to_borrow",
    NothingToRemove = "nothing_to_remove",
    OlderState = "older_state",
    OtherPartition = "other_partition",
    OutOfRange = "out_of_range",
    OutdatedSwitch = "outdated_switch",
    OutputOfPlain = "output_of_plain",
    OverlaysLeftOut = "overlays_left_out",
    PolicyDenies = "policy_denies",
    PolicyWarns = "policy_warns",
    PreventDestroy = "prevent_destroy",
    ProgramMissing = "program_missing",
    Rounded = "rounded",
    RunDied = "run_died",
    RunUnderWay = "run_under_way",
    SameIdentity = "same_identity",
    SecondDocument = "second_document",
    SecretDrift = "secret_drift",
    SelfReference = "self_reference",
    ShutByOthers = "shut_by_others",
    ShutOut = "shut_out",
    ShutPort = "shut_port",
    ShutsBackends = "shuts_backends",
    ShutsUsers = "shuts_users",
    SilentSite = "silent_site",
    SlowChange = "slow_change",
    SplitGroup = "split_group",
    StandsAlone = "stands_alone",
    StillLeaving = "still_leaving",
    TaskOutOfOrder = "task_out_of_order",
    TaskStaysInForce = "task_stays_in_force",
    TooCostly = "too_costly",
    TooDeep = "too_deep",
    TooLong = "too_long",
    TooManyExpressions = "too_many_expressions",
    TouchesBorrowed = "touches_borrowed",
    TwoFounders = "two_founders",
    Unchangeable = "unchangeable",
    UncheckedTarget = "unchecked_target",
    UnclosedExpression = "unclosed_expression",
    UndoChanged = "undo_changed",
    UndoSecret = "undo_secret",
    Uninvited = "uninvited",
    UnknownAddress = "unknown_address",
    UnknownAttribute = "unknown_attribute",
    UnknownFaultDomain = "unknown_fault_domain",
    UnknownFunction = "unknown_function",
    UnknownKey = "unknown_key",
    UnknownKind = "unknown_kind",
    UnknownKindInState = "unknown_kind_in_state",
    UnknownReference = "unknown_reference",
    UnknownResource = "unknown_resource",
    UnknownType = "unknown_type",
    UnknownVariable = "unknown_variable",
    UnquotedReference = "unquoted_reference",
    UnseenFaultDomain = "unseen_fault_domain",
    UsersWait = "users_wait",
    VariableCase = "variable_case",
    VariableReverts = "variable_reverts",
    WaitsInCircle = "waits_in_circle",
    WrongForm = "wrong_form",
    WrongGate = "wrong_gate",
    WrongLength = "wrong_length",
    WrongName = "wrong_name",
    WrongPattern = "wrong_pattern",
    WrongReference = "wrong_reference",
    WrongType = "wrong_type",
    YamlTag = "yaml_tag",
}

impl fmt::Display for DiagnosticCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::DiagnosticCode;

    #[test]
    fn as_str_of_each_code_is_its_own_and_in_order() {
        let names: Vec<&str> = DiagnosticCode::ALL.iter().map(|it| it.as_str()).collect();
        assert!(names.is_sorted_by(|one, other| one < other), "{names:?}");
        let is_plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
        assert!(names.iter().all(|it| it.chars().all(is_plain)), "{names:?}");
    }
}
