//! The images of the test: Debian's own by debootstrap, Hezar's by deploy/Dockerfile, and one with the programs beside it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use hezar_interop::debian_archive;

use super::{
    engine::{Engine, tools_context},
    project::deploy,
};

/// The image of Debian's that the others are made over.
pub(super) const BASE: &str = "hezar-test/debian";
/// Hezar's own.
pub(super) const IMAGE: &str = "hezar-test/hezar";
/// Prometheus, Alertmanager and nginx in one.
pub(super) const TOOLS: &str = "hezar-test/tools";
/// What the programs read that Debian has in files of their own.
const FILES: [&str; 4] = [
    "/usr/lib/nginx/modules/ngx_stream_module.so",
    "/etc/nginx/modules-enabled/50-mod-stream.conf",
    "/usr/share/prometheus/alertmanager/default.tmpl",
    "/usr/share/prometheus/alertmanager/email.tmpl",
];
/// What the published images have besides their programs.
const PREPARE: &str = "install -d -o 65534 -g 65534 /prometheus /alertmanager \
    && mkdir -p /usr/share/nginx && ln -s /usr/lib/nginx/modules /usr/share/nginx/modules";

/// The base from Debian's packages, Hezar's image by deploy/Dockerfile, and one with the other programs.
pub(super) fn make_images(engine: &Engine, hezar: &Path, tools: &[PathBuf]) {
    make_base(engine);
    make_hezar(engine, hezar);
    let context = engine.folder().join("tools");
    let tools: Vec<&Path> = tools.iter().map(PathBuf::as_path).chain(FILES.map(Path::new)).collect();
    fs::create_dir(&context).unwrap();
    tools_context(BASE, &tools, PREPARE, &context);
    engine.must(&["build", "--tag", TOOLS, context.to_str().unwrap()]);
}

/// The base from Debian's packages.
pub(super) fn make_base(engine: &Engine) {
    let archive = debian_archive(&[]).unwrap();
    engine.must_with_input(&["import", "-", BASE], &archive);
}

/// Hezar's image by deploy/Dockerfile.
pub(super) fn make_hezar(engine: &Engine, hezar: &Path) {
    let context = engine.folder().join("context");
    fs::create_dir(&context).unwrap();
    fs::copy(hezar, context.join("hezar")).unwrap();
    let dockerfile = deploy().join("Dockerfile");
    let base = format!("RUNTIME_IMAGE={BASE}");
    let build = ["build", "--target", "prebuilt", "--build-arg", &base, "--build-arg", "PACKAGES="];
    let place = ["--tag", IMAGE, "--file", dockerfile.to_str().unwrap(), context.to_str().unwrap()];
    engine.must(&[&build[..], &place].concat());
}

/// The stage of deploy/Dockerfile that prepares the layer of dependencies, from the true context: cargo finds every manifest and target.
pub(super) fn the_whole_workspace_reaches_the_builder(engine: &Engine) {
    let (dockerfile, image) = (deploy().join("Dockerfile"), "hezar-test/manifests");
    let (build_image, runtime_image) = (format!("BUILD_IMAGE={BASE}"), format!("RUNTIME_IMAGE={BASE}"));
    let arguments = ["--build-arg", &build_image, "--build-arg", &runtime_image, "--build-arg", "PACKAGES="];
    let root = dockerfile.parent().unwrap().parent().unwrap();
    let place = ["--tag", image, "--file", dockerfile.to_str().unwrap(), root.to_str().unwrap()];
    engine.must(&[&["build", "--target", "manifests"][..], &arguments, &place].concat());
    let container = engine.must(&["create", image, "true"]);
    let stubs = engine.folder().join("stubs");
    engine.must(&["cp", &format!("{container}:/stubs"), stubs.to_str().unwrap()]);
    engine.must(&["rm", &container]);
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--offline", "--locked", "--format-version", "1"]).current_dir(&stubs);
    let output = cargo.env_remove("CARGO_MANIFEST_DIR").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\"name\":\"hezar-lab\""), "the workspace is there");
}
