//! `hezar init --vps`: a machine that is set up by one command, and a phone that comes in by each link that it prints.

use std::{fs, path::Path};

use hezar_interop::harness::programs;
use serde_json::json;

use crate::{namespaced_shell, tls::Authority};

/// How long all of it may take, in seconds: a bound for what hangs, not a figure.
const LONGEST: &str = "300";
/// The name that leads to the machine.
const DOMAIN: &str = "vps.test.example";
/// Where the phone's own client offers a proxy.
const PHONE: u16 = 17_000;

/// A network of its own with a world of nodes, an ACME server that checks challenges at port 443, and a name; then the machine, and a
/// phone for every listener that mihomo can reach.
const SCRIPT: &str = r#"
set -euo pipefail
trap 'echo "FAILED at line $LINENO"; tail -n 40 "$STAGE"/*.log' ERR
ip link set lo up
mount --bind "$STAGE/hosts" /etc/hosts
cd "$STAGE"
(cd world && HOME=$PWD exec "$HEZAR" run --demo --listen 127.0.0.1:18000 --api 127.0.0.1:19090 >../world.log 2>&1) &
PEBBLE_VA_NOSLEEP=1 "$PEBBLE" -config pebble.json >pebble.log 2>&1 &
SUBSCRIPTION=http://127.0.0.1:19090/sub/0123456789abcdef
until [ "$(curl -s "$SUBSCRIPTION?target=links" | wc -l)" -ge 15 ]; do sleep 0.1; done
until curl -sk https://127.0.0.1:15000/roots/0 >acme-root.pem && grep -q BEGIN acme-root.pem; do sleep 0.1; done
export HEZAR_PROBE_URL=http://demo.hezar/generate_204 HEZAR_PROBE_TRACE_URL=http://demo.hezar/cdn-cgi/trace
export HEZAR_PROBE_CANARY_URL= HEZAR_PROBE_CONTROL=

set_up() {
    "$HEZAR" --config "$STAGE/hezar.toml" init --vps "$DOMAIN" --no-service --allow-private "$@" \
        --acme-directory https://127.0.0.1:14000/dir --acme-ca "$STAGE/root.pem" "$SUBSCRIPTION"
}
set_up >printed 2>set-up.log
grep '^[a-z0-9]*://' printed >links
[ "$(wc -l <links)" -eq 21 ]
grep -q '[▀▄]' printed
grep -q 'tcp dport' firewall.nft
[ "$(stat -c %a hezar.toml)" = 600 ]
if set_up 2>refused; then exit 1; fi
grep -q -- --force refused
set_up --force 2>again.log | grep '^[a-z0-9]*://' >links.again
cmp links links.again

"$HEZAR" --config "$STAGE/hezar.toml" run >hezar.log 2>&1 &
for _ in $(seq 600); do "$HEZAR" --config hezar.toml health >/dev/null 2>&1 && break; sleep 0.1; done
"$HEZAR" --config hezar.toml health >/dev/null
# The certificate comes over the port that looks like a site, and whoever is no phone sees that site.
for _ in $(seq 600); do curl -s --cacert acme-root.pem "https://$DOMAIN/" >page && break; sleep 0.1; done
grep -q Welcome page

export SSL_CERT_FILE=$STAGE/acme-root.pem DISABLE_LOOPBACK_DETECTOR=1
for listener in reality hysteria2 websocket xhttp trojan anytls shadowsocks; do
    {
        printf 'mixed-port: %s\nhosts: { %s: 127.0.0.1 }\n' "$PHONE" "$DOMAIN"
        "$HEZAR" --config hezar.toml user link phone --listener "$listener" --link '' --target clash 2>/dev/null
    } >phone/config.yaml
    "$MIHOMO" -d phone >"phone-$listener.log" 2>&1 &
    phone=$!
    for _ in $(seq 100); do
        status=$(curl -s --max-time 10 -o /dev/null -w '%{http_code}' -x "http://127.0.0.1:$PHONE" http://demo.hezar/generate_204 || true)
        [ "$status" = 204 ] && break
        sleep 0.1
    done
    [ "$status" = 204 ]
    kill "$phone"
    wait "$phone" || true
    echo "$listener serves"
done
"$HEZAR" --config hezar.toml user usage phone --json | grep -q '"user":"phone"'
"#;

#[test]
fn one_command_sets_up_a_machine_for_phones() {
    let names = ["pebble", "mihomo", "curl", "iproute2"];
    let Some((hezar, [pebble, mihomo, ..])) = programs("vps", names) else { return };
    if !namespaced_shell::can_be_made("vps") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let mut command = namespaced_shell::shell(LONGEST);
    command.args(["-c", SCRIPT]).current_dir(folder.path());
    command.env("STAGE", folder.path()).env("HOME", folder.path()).env("DOMAIN", DOMAIN);
    command.env("HEZAR", hezar).env("PEBBLE", pebble).env("MIHOMO", mihomo).env("PHONE", PHONE.to_string());
    let output = command.output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{said}\n{errors}", output.status);
    assert_eq!(said.lines().filter(|line| line.ends_with(" serves")).count(), 7, "{said}");
}

/// Writes what the script finds there.
fn prepare(folder: &Path) {
    let authority = Authority::new(folder);
    authority.issue("pebble", &["127.0.0.1"]);
    let pebble = json!({ "pebble": {
        "listenAddress": "127.0.0.1:14000",
        "managementListenAddress": "127.0.0.1:15000",
        "certificate": folder.join("pebble.pem"),
        "privateKey": folder.join("pebble.key"),
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": false,
        "retryAfter": { "authz": 1, "order": 1 },
        "keyAlgorithm": "ecdsa",
        "profiles": { "default": { "description": "short", "validityPeriod": 86_400 } },
    }});
    for name in ["world", "phone"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    let world = "[[subscription]]\nname = \"world\"\ntoken = \"0123456789abcdef\"\nallow_private = true\n";
    for (name, text) in [
        ("pebble.json", pebble.to_string()),
        ("world/hezar.toml", world.to_owned()),
        ("hosts", format!("127.0.0.1 localhost {DOMAIN}\n")),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
}
