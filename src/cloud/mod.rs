//! Acts: reads and changes real or pretended clouds; decides nothing.

pub mod clock;
