//! Describes: every kind of resource as data, one folder each, built into one catalog.
