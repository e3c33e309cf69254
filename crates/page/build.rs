//! Finds or builds the web page, compresses its files and lists them for the crate.
//!
//! - `HEZAR_PAGE_DIST` names a folder with a ready build: it is embedded, in every profile.
//! - A release build runs `npm ci` and `vite build` on a copy of `web/` in the output folder, never in the source tree. Where
//!   Node is missing, or npm fails, the program is built without the page and a warning says so.
//! - A debug build embeds `web/dist/page` if `npm run build` has made it, and has no page otherwise: it never runs npm.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt::Write as _,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use flate2::{Compression, Crc, write::GzEncoder};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What a build of the page reads; a change of any of it builds the page again.
const SOURCES: [&str; 7] =
    ["index.html", "package.json", "package-lock.json", ".npmrc", "tsconfig.json", "vite.config.ts", "src"];
/// The oldest Node that Vite runs on.
const OLDEST_NODE: (u32, u32) = (20, 19);
/// How long npm or Vite may take.
const LONGEST: Duration = Duration::from_secs(300);

fn main() -> Outcome<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=HEZAR_PAGE_DIST");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let web = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../web");
    let (files, missing) = match page(&web, &out) {
        Ok(folder) => (compress(&folder, &out)?, None),
        Err(reason) => (BTreeMap::new(), Some(reason.to_string())),
    };
    fs::write(out.join("embedded.rs"), listing(&files, missing.as_deref()))?;
    Ok(())
}

/// The folder of the built page, or why there is none.
fn page(web: &Path, out: &Path) -> Outcome<PathBuf> {
    if let Some(folder) = env::var_os("HEZAR_PAGE_DIST").filter(|folder| !folder.is_empty()) {
        let folder = PathBuf::from(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        if folder.join("index.html").is_file() {
            return Ok(folder);
        }
        let reason = format!("HEZAR_PAGE_DIST names {}, which has no index.html", folder.display());
        println!("cargo::warning={reason}: the program is built without the page");
        return Err(reason.into());
    }
    if env::var("PROFILE")? != "release" {
        let dist = web.join("dist");
        println!("cargo::rerun-if-changed={}", dist.display());
        let ready = dist.join("page");
        let none = "this is a debug build, and `npm run build` had not been run in web/";
        return if ready.join("index.html").is_file() { Ok(ready) } else { Err(none.into()) };
    }
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", web.join(source).display());
    }
    build(web, out).map_err(|reason| {
        println!("cargo::warning=the program is built without its web page: {reason}");
        reason
    })
}

/// Builds the page from a copy of its sources.
fn build(web: &Path, out: &Path) -> Outcome<PathBuf> {
    check_node()?;
    let (copy, dist) = (out.join("web"), out.join("dist"));
    fs::create_dir_all(&copy)?;
    for source in SOURCES {
        replace(&web.join(source), &copy.join(source))?;
    }
    install(&copy)?;
    let _ = fs::remove_dir_all(&dist);
    let mut vite = Command::new("node");
    vite.args(["node_modules/vite/bin/vite.js", "build", "--emptyOutDir", "--outDir"]).arg(&dist);
    run(&mut vite, &copy, "vite build")?;
    Ok(dist)
}

fn check_node() -> Outcome<()> {
    let output = Command::new("node").arg("--version").output().map_err(|_| "Node.js is not installed")?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = version.trim_start_matches('v').split('.').map_while(|number| number.parse::<u32>().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let (major, minor) = OLDEST_NODE;
    if found < OLDEST_NODE {
        return Err(format!("Node.js {version} is older than {major}.{minor}").into());
    }
    Ok(())
}

/// Installs what the lock file names, without any script of a package; an unchanged lock file needs no second install.
fn install(copy: &Path) -> Outcome<()> {
    let (lock, done) = (fs::read(copy.join("package-lock.json"))?, copy.join("installed.json"));
    if fs::read(&done).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let mut install = Command::new(npm);
    install.args(["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]);
    install.args(["--fetch-retries=1", "--fetch-timeout=30000"]);
    if env::var("CARGO_NET_OFFLINE").is_ok_and(|offline| offline == "true") {
        install.arg("--offline");
    }
    run(&mut install, copy, "npm ci")?;
    fs::write(done, lock)?;
    Ok(())
}

/// Runs a command for a bounded time; its output goes to a file, whose last line is part of the failure.
fn run(command: &mut Command, folder: &Path, name: &str) -> Outcome<()> {
    let log = folder.join("build.log");
    let file = File::create(&log)?;
    let mut child = command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .map_err(|error| format!("`{name}` cannot be started: {error}"))?;
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if began.elapsed() > LONGEST {
            child.kill()?;
            child.wait()?;
            return Err(format!("`{name}` took longer than {} s", LONGEST.as_secs()).into());
        }
        thread::sleep(Duration::from_millis(50));
    };
    if status.success() {
        return Ok(());
    }
    let text = fs::read(&log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
    Err(format!("`{name}` failed ({status}): {last}").into())
}

/// Puts a copy of a file or folder in the place of an older one.
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        replace(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// A compressed file: where it lies, and a tag that changes with its content.
struct Compressed {
    file: PathBuf,
    tag: String,
}

/// Compresses every file of a folder, by its path in there.
fn compress(folder: &Path, out: &Path) -> Outcome<BTreeMap<String, Compressed>> {
    let target = out.join("compressed");
    let _ = fs::remove_dir_all(&target);
    fs::create_dir_all(&target)?;
    let mut folders = vec![folder.to_owned()];
    let mut files = BTreeMap::new();
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
            let (content, file) = (fs::read(&path)?, target.join(files.len().to_string()));
            let mut encoder = GzEncoder::new(File::create(&file)?, Compression::best());
            encoder.write_all(&content)?;
            encoder.finish()?;
            let mut sum = Crc::new();
            sum.update(&content);
            files.insert(name, Compressed { file, tag: format!("{:08x}-{}", sum.sum(), content.len()) });
        }
    }
    Ok(files)
}

/// The source text that embeds the files.
fn listing(files: &BTreeMap<String, Compressed>, missing: Option<&str>) -> String {
    let mut text =
        format!("pub(crate) const MISSING: Option<&str> = {missing:?};\npub(crate) const FILES: &[PageFile] = &[\n");
    for (path, Compressed { file, tag }) in files {
        let _ = writeln!(
            text,
            "PageFile {{ path: {path:?}, content_type: {:?}, tag: {tag:?}, gzip: include_bytes!({:?}) }},",
            content_type(path),
            file.display().to_string()
        );
    }
    text + "];\n"
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("json" | "webmanifest") => "application/json",
        _ => "application/octet-stream",
    }
}
