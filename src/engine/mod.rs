//! Decides: pure rules from text and values to plans; knows no files, clocks, network or async.
