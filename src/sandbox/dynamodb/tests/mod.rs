//! A scripted client: requests at world times in, one line of text out.
