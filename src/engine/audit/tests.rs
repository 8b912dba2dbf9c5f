//! Each defect planted singly.
