//! Which version this is: of the package, and of the commit that was built.

/// The version of the package.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that was built, when it was known; with a plus sign when the tree held changes.
pub(crate) const COMMIT: Option<&str> = option_env!("HEZAR_COMMIT");

/// What it was built for, as `architecture-system`.
pub(crate) fn platform() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}
