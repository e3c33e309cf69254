//! A container engine of the test's own: in namespaces that end with it, so that neither this machine's network nor its own engine
//! sees anything of it.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// How long the engine may take to answer.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end by itself.
const END: Duration = Duration::from_secs(20);

/// Runs as the first process of the namespaces: it switches the loopback interface on, passes SIGTERM on, and takes in the processes that
/// others leave behind (an engine's shims), which the engine itself would not.
const INSIDE: &str = "ip link set lo up; \"$@\" & engine=$!; trap 'kill $engine' TERM; wait $engine; wait $engine";

/// A running dockerd.
#[derive(Debug)]
pub(crate) struct Engine {
    unshare: Child,
    docker: PathBuf,
    compose: PathBuf,
    folder: tempfile::TempDir,
    cgroup: String,
}

impl Engine {
    /// Starts it.
    ///
    /// # Errors
    /// Why it does not run here: the end of its log.
    pub(crate) fn start(dockerd: &Path, docker: PathBuf, compose: PathBuf) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let log = File::create(folder.path().join("dockerd.log")).unwrap();
        let cgroup = format!("hezar-test-{}", std::process::id());
        let at = |name: &str| folder.path().join(name).display().to_string();
        let unshare = Command::new("unshare")
            // When unshare is killed, so is the first process inside, and with it everything in its namespace of processes.
            .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", INSIDE, "sh"])
            .arg(dockerd)
            .args(["--data-root", &at("data"), "--exec-root", &at("exec"), "--pidfile", &at("pid")])
            .args(["--host", &format!("unix://{}", at("socket")), "--cgroup-parent", &format!("/{cgroup}")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("unshare: {error}"))?;
        let mut engine = Self { unshare, docker, compose, folder, cgroup };
        let end = Instant::now() + START;
        while !engine.docker().arg("version").output().unwrap().status.success() {
            let ended = engine.unshare.try_wait().unwrap();
            if ended.is_some() || Instant::now() > end {
                return Err(engine.log());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(engine)
    }

    /// The end of what it has printed.
    fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("dockerd.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// A folder on the engine's side, which containers may mount.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn docker(&self) -> Command {
        let mut docker = Command::new(&self.docker);
        docker.arg("--host").arg(format!("unix://{}", self.folder.path().join("socket").display()));
        // The older builder is part of the engine; the newer one is a package of its own.
        docker.env("DOCKER_BUILDKIT", "0").env("DOCKER_CONFIG", self.folder.path().join("config"));
        docker
    }

    /// Runs a command of docker to its end; what it prints is its answer.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.docker().args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// The same; it must succeed.
    pub(crate) fn must(&self, arguments: &[&str]) -> String {
        succeeded(arguments, self.run(arguments))
    }

    /// The same, with a file on standard input.
    pub(crate) fn must_with_input(&self, arguments: &[&str], input: &Path) -> String {
        let output = self.docker().args(arguments).stdin(File::open(input).unwrap()).output().unwrap();
        succeeded(arguments, output)
    }

    /// Runs docker-compose in a folder with these variables; it must succeed.
    pub(crate) fn compose(&self, folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> String {
        let mut compose = Command::new(&self.compose);
        compose.current_dir(folder).args(arguments).envs(variables.iter().copied()).stdin(Stdio::null());
        compose.env("DOCKER_HOST", format!("unix://{}", self.folder.path().join("socket").display()));
        compose.env("DOCKER_CONFIG", self.folder.path().join("config"));
        succeeded(arguments, compose.output().unwrap())
    }

    /// The first process inside, by its number outside.
    pub(crate) fn pid(&self) -> u32 {
        let unshare = self.unshare.id();
        let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).unwrap();
        children.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// A program in the engine's network, where the published ports are.
    pub(crate) fn in_network(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.pid().to_string()).args(["--net", "--", program]);
        command
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let mut kill = Command::new("kill");
        if self.unshare.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = kill.arg(self.pid().to_string()).status();
        }
        let end = Instant::now() + END;
        while self.unshare.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        // What the engine's containers were counted in, in each hierarchy of control groups; empty by now.
        for hierarchy in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            let _ = fs::remove_dir(hierarchy.path().join(&self.cgroup));
        }
        let _ = fs::remove_dir(Path::new("/sys/fs/cgroup").join(&self.cgroup));
    }
}

fn succeeded(arguments: &[&str], output: Output) -> String {
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {}\n{said}\n{complained}", output.status);
    said.trim().to_owned()
}

/// Copies programs of this machine with their libraries into a folder, under their own paths, and makes it the context of an image
/// over `base`. The base must be of the same release.
///
/// `prepare` is a command of the shell that runs at the end.
pub(crate) fn tools_context(base: &str, programs: &[&Path], prepare: &str, folder: &Path) {
    let root = folder.join("root");
    for program in programs {
        copy_into(&root, program);
        let libraries = Command::new("ldd").arg(program).output().unwrap();
        // A line is "name => path (address)" or "path (address)"; a static program has none.
        for line in String::from_utf8_lossy(&libraries.stdout).lines() {
            let path = line.split_whitespace().find(|word| word.starts_with('/'));
            path.into_iter().for_each(|path| copy_into(&root, Path::new(path)));
        }
    }
    let mut dockerfile = File::create(folder.join("Dockerfile")).unwrap();
    write!(dockerfile, "FROM {base}\nCOPY root/ /\nRUN {prepare}\n").unwrap();
}

fn copy_into(root: &Path, file: &Path) {
    // `/lib` is a link to `/usr/lib`, in the image too: a folder must not come over it.
    let parent = fs::canonicalize(file.parent().unwrap()).unwrap();
    let target = root.join(parent.strip_prefix("/").unwrap());
    fs::create_dir_all(&target).unwrap();
    fs::copy(file, target.join(file.file_name().unwrap())).unwrap();
}
