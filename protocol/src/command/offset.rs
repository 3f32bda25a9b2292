//! Placeholder until the headers of this family are in.
