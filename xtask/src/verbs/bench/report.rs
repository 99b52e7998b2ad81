//! What a part of `confab-bench` prints when it has measured something.

use crate::cargo;
use anyhow::{Context, Result};
use serde_json::Value;
use std::process::Command;

/// What the generator, or another part of `confab-bench`, prints.
pub fn report_of(command: &mut Command) -> Result<Value> {
    let text = cargo::output_of(command).map_err(|_| anyhow::anyhow!("it failed, see above"))?;
    serde_json::from_str(text.trim()).context("its report is not JSON")
}
