//! Where the program under test is, and how it comes to be there.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

/// The binary of this workspace, built once a test run in the profile that the tests were built in.
///
/// `TRIREME_BIN` names another one, which is then taken as it is.
///
/// # Errors
/// If it does not build; the compiler has said why on stderr.
pub fn built() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf>> = OnceLock::new();
    match BUILT.get_or_init(build) {
        Ok(binary) => Ok(binary.clone()),
        Err(error) => bail!("{error:#}"),
    }
}

fn build() -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os("TRIREME_BIN") {
        return Ok(binary.into());
    }
    let test = std::env::current_exe()?;
    let layout = || format!("{} does not lie in <target>/<profile>/deps", test.display());
    let profile_dir = test.parent().and_then(Path::parent).with_context(layout)?;
    let target_dir = profile_dir.parent().with_context(layout)?;
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(profile) => profile,
        None => bail!(layout()),
    };
    let workspace =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate lies in the workspace")?;
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "trireme", "--profile", profile, "--target-dir"])
        .arg(target_dir)
        .current_dir(workspace)
        .status()
        .context("run cargo")?;
    if !status.success() {
        bail!("cargo build --package trireme: {status}");
    }
    Ok(profile_dir.join(format!("trireme{}", std::env::consts::EXE_SUFFIX)))
}
