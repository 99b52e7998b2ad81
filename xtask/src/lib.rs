//! Every verb a contributor needs.
