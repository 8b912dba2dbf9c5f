//! Why an encrypted state cannot be opened, and whether it should be one at all.

use std::fmt;

use crate::engine::text::advice::AdvisedCommand;

/// A key, as it may be told: its name says nothing of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedKey {
    /// The variable of the environment that holds it.
    pub variable: String,
    pub id: String,
}

/// What is wrong with the key of a state, or with its form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error(
        "{place} is encrypted, and the variable {variable}, which should hold its key, is not set"
    )]
    NotSet { place: String, variable: String },
    /// What it holds is not shown, since it may be a secret.
    #[error("the variable {variable} does not hold a key: {why}")]
    NoKey { variable: String, why: &'static str },
    #[error(
        "{place} is encrypted with the key {}, which {} held; {}", sealed.id, sealed.variable, Held(held)
    )]
    WrongKey { place: String, sealed: NamedKey, held: Vec<NamedKey> },
    /// The stack says that its state is encrypted.
    #[error("the stack file says `encrypt`, and the state in {place} is in plain text")]
    InPlain {
        place: String,
        stack: String,
        /// The store, as `state migrate` is told it.
        to: String,
        variable: String,
    },
    #[error("the state in {place} is encrypted, and the stack file does not say `encrypt`")]
    Undeclared { place: String },
}

/// Which variables hold which keys.
struct Held<'a>(&'a [NamedKey]);

impl fmt::Display for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, it) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{} holds the key {}", it.variable, it.id)?;
        }
        Ok(())
    }
}

/// What makes a key, for the variable that is to hold it.
pub fn key_command(variable: &str) -> String {
    format!("export {variable}=\"$(head -c 32 /dev/urandom | base64)\"")
}

impl SealError {
    /// Whether what is there is whole, and only not what the stack file says.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::InPlain { .. } | Self::Undeclared { .. })
    }

    /// What to do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::NotSet { variable, .. } => format!(
                "set {variable} to the key, from where it is kept; for a state that does not exist yet, make one and keep it: `{}`",
                key_command(variable)
            ),
            Self::NoKey { variable, .. } => format!(
                "a key is 32 random bytes, as 64 hexadecimal digits or in base64; for a state that does not exist yet, make one and keep it: `{}`",
                key_command(variable)
            ),
            Self::WrongKey { held, .. } => {
                let variable = held.first().map_or("KEY", |it| it.variable.as_str());
                format!(
                    "nothing was changed; set {variable} to the key that it was encrypted with. If keys are being replaced, name the variable of the old one beside it: `encrypt: {{ key_env: {variable}, old_key_env: NAME }}`"
                )
            }
            Self::InPlain { stack, to, variable, .. } => format!(
                "nothing was changed; to encrypt it, run {}. To leave it as it is, remove `encrypt` from the stack file",
                AdvisedCommand::StateMigrate { stack, to, encrypt: Some(variable) }
            ),
            Self::Undeclared { .. } => {
                "nothing was changed; write `encrypt: { key_env: NAME }` back into `state:` of the stack file. To keep the state in plain text from then on, use `state migrate` with --no-encrypt".into()
            }
        }
    }
}
