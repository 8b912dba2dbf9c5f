//! `explain`: which layer and line gave a value, and why an action was chosen.
