//! Use cases, JSON API and pages of Countersign.
