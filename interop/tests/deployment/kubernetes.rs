//! deploy/kubernetes: built by kustomize, read as strictly as the API server does, and what one object says of another is true.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use hezar_interop::harness::programs;
use serde_json::Value;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes")
}

/// The objects of one kind.
fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

/// The labels in an object of JSON.
fn labels(value: &Value) -> BTreeMap<&str, &str> {
    value.as_object().unwrap().iter().map(|(key, value)| (key.as_str(), value.as_str().unwrap())).collect()
}

/// The Deployments whose pods a selector names.
fn selected<'a>(deployments: &[&'a Value], selector: &Value) -> Vec<&'a Value> {
    let wanted = labels(selector);
    let fits = |deployment: &&&Value| {
        let pod = labels(&deployment["spec"]["template"]["metadata"]["labels"]);
        !wanted.is_empty() && wanted.iter().all(|(key, value)| pod.get(key) == Some(value))
    };
    deployments.iter().filter(fits).copied().collect()
}

fn has_port(deployment: &Value, port: &Value) -> bool {
    let ports = deployment["spec"]["template"]["spec"]["containers"][0]["ports"].as_array().unwrap();
    ports.iter().any(|one| one["name"] == *port)
}

#[test]
fn the_manifests_are_read_strictly_and_go_together() {
    let Some((hezar, [check])) = programs("kubernetes", ["kustomize-check"]) else { return };
    let built = Command::new(&check).arg(folder()).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let objects: Vec<Value> = serde_json::from_slice(&built.stdout).unwrap();
    let deployments: Vec<&Value> = of_kind(&objects, "Deployment").collect();

    let mut roles = Vec::new();
    for deployment in &deployments {
        assert_eq!(selected(&deployments, &deployment["spec"]["selector"]["matchLabels"]), [*deployment]);
        let pod = &deployment["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let arguments: Vec<&str> = container["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
        let [run, flag, given] = arguments[..] else { panic!("{arguments:?}") };
        assert_eq!((run, flag), ("run", "--role"));
        roles.extend(given.split(','));
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            assert!(has_port(deployment, &container[probe]["httpGet"]["port"]), "{probe} of {}", name(deployment));
        }
        assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
        assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/healthz");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        // Passwords come from a Secret that no file here holds.
        for variable in container["env"].as_array().unwrap() {
            let is_secret = variable["name"] == "HEZAR_STORE_URL" || variable["name"] == "HEZAR_API_TOKEN";
            assert_eq!(is_secret, variable["valueFrom"]["secretKeyRef"]["name"] == "hezar", "{variable}");
        }
        let config = pod["volumes"][0]["configMap"]["name"].as_str().unwrap();
        assert!(config.starts_with("hezar-") && of_kind(&objects, "ConfigMap").any(|map| name(map) == config));
        is_understood(&hezar, given);
    }
    roles.sort_unstable();
    assert_eq!(roles, ["api", "fetch", "gateway", "probe"]);

    for service in of_kind(&objects, "Service") {
        let pods = selected(&deployments, &service["spec"]["selector"]);
        let ports = service["spec"]["ports"].as_array().unwrap();
        assert!(pods.len() == 1 && ports.iter().all(|port| has_port(pods[0], &port["targetPort"])), "{service:#}");
        if ports.iter().any(|port| port["targetPort"] == "api") {
            // The API answers under names that it knows alone.
            let configured = fs::read_to_string(folder().join("hezar.toml")).unwrap();
            let (name, namespace) = (name(service), service["metadata"]["namespace"].as_str().unwrap());
            for host in [name.to_owned(), format!("{name}.{namespace}"), format!("{name}.{namespace}.svc")] {
                assert!(configured.contains(&format!("\"{host}\"")), "{host}");
            }
        }
    }
    for budget in of_kind(&objects, "PodDisruptionBudget") {
        assert_eq!(selected(&deployments, &budget["spec"]["selector"]["matchLabels"]).len(), 1, "{budget:#}");
    }
    let scaler = of_kind(&objects, "HorizontalPodAutoscaler").next().unwrap();
    let scaled = deployments.iter().find(|one| name(one) == scaler["spec"]["scaleTargetRef"]["name"]).unwrap();
    assert!(scaled["spec"].get("replicas").is_none_or(Value::is_null), "a number here would fight with the autoscaler");
    let metric = scaler["spec"]["metrics"][0]["pods"]["metric"]["name"].as_str().unwrap();
    let documented = fs::read_to_string(folder().join("../../docs/metrics.md")).unwrap();
    assert!(documented.contains(&format!("| `{metric}` |")), "{metric}");
    for policy in of_kind(&objects, "NetworkPolicy") {
        let pods = selected(&deployments, &policy["spec"]["podSelector"]["matchLabels"]);
        let rules = policy["spec"]["ingress"].as_array().unwrap();
        let ports = rules.iter().flat_map(|rule| rule["ports"].as_array().unwrap());
        assert!(!pods.is_empty() && ports.clone().count() > 0);
        for port in ports {
            assert!(pods.iter().all(|pod| has_port(pod, &port["port"])), "{port} of {}", name(policy));
        }
    }
}

/// The program takes the configuration with the variables of a pod of these roles.
fn is_understood(hezar: &PathBuf, roles: &str) {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(hezar)
        .args(["config", "check", "--config"])
        .arg(folder().join("hezar.toml"))
        .current_dir(home.path())
        .env_clear()
        .env("HOME", home.path())
        .env("HEZAR_CLUSTER_NAME", "gateway-6d5c9f7b8-abcde")
        .env("HEZAR_CLUSTER_ROLES", roles)
        .env("HEZAR_STORE_URL", "postgres://hezar:password@database.example.test/hezar?sslmode=verify-full")
        .env("HEZAR_API_TOKEN", "0123456789abcdef0123456789abcdef")
        .env("HEZAR_LOG_FORMAT", "json")
        .output()
        .unwrap();
    assert!(output.status.success(), "{roles}: {}", String::from_utf8_lossy(&output.stderr));
}
