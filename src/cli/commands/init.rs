//! `init`: a first stack that runs in the sandbox.
