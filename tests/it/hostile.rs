//! Layers, environments and machines that mean no good, or know no better: links, bombs, control characters, full disks.
