//! Placeholder until this module is in.
