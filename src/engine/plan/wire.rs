//! The only JSON of a plan: what `plan --out` writes and `--format json` prints.
