//! The profile `scale` of deploy/compose.yaml on a real engine: a database, members with roles of their own, and HAProxy in front.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use hezar_interop::harness::{eventually, programs};

use super::{
    engine::{Engine, tools_context},
    images::{BASE, IMAGE, make_base, make_hezar},
    project::{CONFIG_PROBE, Project, UPSTREAM, deploy},
};

const DATABASE: &str = "hezar-test/postgres";
const BALANCER: &str = "hezar-test/haproxy";
const MEMBERS: [&str; 5] = ["fetcher", "prober-1", "prober-2", "gateway-1", "gateway-2"];

/// What differs from compose.yaml: a Debian PostgreSQL that makes its data as the official image does, and checks that come sooner.
const OVERRIDE: &str = r#"
services:
  postgres:
    user: "10001:10001"
    entrypoint:
      - sh
      - -c
      - |
        set -e
        if [ ! -s "$$PGDATA/PG_VERSION" ]; then
            initdb --username="$$POSTGRES_USER" --pwfile="$$POSTGRES_PASSWORD_FILE" --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8
            echo "host all all all scram-sha-256" >> "$$PGDATA/pg_hba.conf"
            echo "CREATE DATABASE $$POSTGRES_DB" | postgres --single postgres
        fi
        exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp
    environment: { PGDATA: /var/lib/postgresql/data }
    healthcheck: { interval: 2s }
  haproxy:
    entrypoint: [/usr/sbin/haproxy, -W, -db, -f, /usr/local/etc/haproxy/haproxy.cfg]
    healthcheck: { interval: 2s }
"#;

#[test]
fn compose_scale_serves_while_a_container_of_each_role_is_killed() {
    let parts = ["dockerd", "docker", "docker-compose", "haproxy", "curl", "debootstrap", "ip"];
    let Some((hezar, [dockerd, docker, compose, haproxy, ..])) = programs("containers: scale", parts) else { return };
    let Some(postgres) = postgres_folder() else {
        assert!(std::env::var_os("HEZAR_REQUIRE_PEERS").is_none(), "PostgreSQL is required and not there");
        println!("containers: scale: SKIPPED, PostgreSQL is not there");
        return;
    };
    let engine = match Engine::start(&dockerd, docker, compose) {
        Ok(engine) => engine,
        Err(reason) => {
            assert!(std::env::var_os("HEZAR_REQUIRE_PEERS").is_none(), "dockerd does not run here: {reason}");
            println!("containers: scale: SKIPPED, dockerd does not run here: {reason}");
            return;
        }
    };
    let begin = Instant::now();
    let reached = |stage: &str| println!("containers: scale: {stage} after {:.0?}", begin.elapsed());
    make_base(&engine);
    make_hezar(&engine, &hezar);
    make_postgres(&engine, &postgres);
    make_haproxy(&engine, &haproxy);
    reached("the images are made");

    let project = project(&engine);
    project.up(&["upstream", "postgres"], &[]);
    project.up(&["haproxy"], &[]);
    project.healthy(&MEMBERS);
    reached("every service is healthy");
    eventually("the first answer", || project.is_served("http://127.0.0.1:8000").then_some(()));
    project.serves("http://127.0.0.1:8000", 50);
    project.serves("socks5h://127.0.0.1:8000", 10);
    assert!(project.answers("http://127.0.0.1:9090/healthz"), "the API over HAProxy");

    for killed in ["gateway-1", "prober-1", "fetcher"] {
        kill(&engine, killed);
        project.serves("http://127.0.0.1:8000", 30);
    }
    reached("a container of each role was killed");
    project.up(&MEMBERS, &[]);
    kill(&engine, "gateway-2");
    project.serves("http://127.0.0.1:8000", 30);
    project.up(&["gateway-2"], &[]);
    kill(&engine, "postgres");
    project.serves("http://127.0.0.1:8000", 30);
    project.up(&["postgres"], &[]);
    project.healthy(&MEMBERS);
    project.serves("http://127.0.0.1:8000", 30);
    reached("the database was killed, too");
    project.compose(&["down", "--volumes"]);
    assert_eq!(engine.must(&["ps", "--all", "--quiet"]), "");
}

/// Kills the container of a service. On a busy machine docker may give up waiting for the end that it has caused.
fn kill(engine: &Engine, service: &str) {
    let container = format!("hz_{service}_1");
    engine.run(&["kill", &container]);
    eventually(&format!("the end of {service}"), || {
        (engine.must(&["inspect", "--format", "{{.State.Running}}", &container]) == "false").then_some(())
    });
}

/// The newest of Debian's versions of PostgreSQL.
fn postgres_folder() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    versions
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/initdb").is_file())
        .max_by_key(|path| number(path))
}

/// PostgreSQL with everything that it reads, and the user as whom it runs.
fn make_postgres(engine: &Engine, folder: &Path) {
    let context = engine.folder().join("postgres");
    fs::create_dir(&context).unwrap();
    let programs = ["postgres", "initdb", "pg_isready"].map(|name| folder.join("bin").join(name));
    let version = folder.file_name().unwrap().to_str().unwrap();
    let prepare = format!(
        "useradd --uid 10001 --home-dir /var/lib/postgresql hezar && install -d -o 10001 -g 10001 -m 0700 /var/lib/postgresql/data \
         && ln -s /usr/lib/postgresql/{version}/bin/* /usr/local/bin/"
    );
    tools_context(BASE, &programs.each_ref().map(PathBuf::as_path), &prepare, &context);
    for read in [folder.join("lib"), Path::new("/usr/share/postgresql").join(version)] {
        let target = context.join("root").join(read.strip_prefix("/").unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        let copied =
            Command::new("cp").args(["--recursive", "--dereference"]).arg(&read).arg(&target).status().unwrap();
        assert!(copied.success(), "{}", read.display());
    }
    engine.must(&["build", "--tag", DATABASE, context.to_str().unwrap()]);
}

fn make_haproxy(engine: &Engine, haproxy: &Path) {
    let context = engine.folder().join("haproxy");
    fs::create_dir(&context).unwrap();
    tools_context(BASE, &[haproxy], "true", &context);
    engine.must(&["build", "--tag", BALANCER, context.to_str().unwrap()]);
}

/// Everything that the profile reads, in the engine's folder.
fn project(engine: &Engine) -> Project<'_> {
    let folder = engine.folder();
    let path = |name: &str| folder.join(name).display().to_string();
    let config = folder.join("config");
    fs::create_dir(&config).unwrap();
    fs::write(config.join("hezar.toml"), CONFIG_PROBE).unwrap();
    fs::write(folder.join("password"), "a-word-for-this-test\n").unwrap();
    fs::write(folder.join("store-url"), "postgres://hezar:a-word-for-this-test@postgres/hezar\n").unwrap();
    let members = MEMBERS.iter().fold(String::new(), |text, member| {
        text + &format!(
            "  {member}:\n    volumes: [\"{}:/etc/hezar:ro\"]\n    healthcheck: {{ interval: 2s }}\n",
            config.display()
        )
    });
    let services = OVERRIDE.replace("services:\n", &format!("services:\n{UPSTREAM}{members}"));
    fs::write(folder.join("override.yaml"), format!("{services}volumes:\n  upstream:\n")).unwrap();
    let variables = vec![
        ("COMPOSE_PROFILES", "scale".to_owned()),
        ("HEZAR_IMAGE", IMAGE.to_owned()),
        ("POSTGRES_IMAGE", DATABASE.to_owned()),
        ("HAPROXY_IMAGE", BALANCER.to_owned()),
        ("POSTGRES_PASSWORD_FILE", path("password")),
        ("HEZAR_STORE_URL_FILE", path("store-url")),
        ("HEZAR_NOFILE", rlimit::Resource::NOFILE.get_hard().unwrap().min(65_536).to_string()),
    ];
    Project { engine, deploy: deploy(), variables, override_file: path("override.yaml") }
}
