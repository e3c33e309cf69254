//! `HEZAR_*` variables: which ones name keys, and which ones Kubernetes or Docker made for a service of the same name.

/// Whether Kubernetes (service environment variables) or Docker (container links) makes such a variable for a service whose name
/// begins with "hezar": `HEZAR_SERVICE_HOST`, `HEZAR_PORT=tcp://10.0.0.1:8000`, `HEZAR_PORT_8000_TCP_ADDR`, and the like.
pub(super) fn is_service_link(name: &str, value: &str) -> bool {
    let address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    if name.ends_with("_PORT") && address {
        return true;
    }
    if name.ends_with("_SERVICE_HOST") || name.ends_with("_SERVICE_PORT") || name.contains("_SERVICE_PORT_") {
        return true;
    }
    // Docker's `--link` gives NAME the path of both containers, and copies the other one's environment.
    if (name.ends_with("_NAME") && value.starts_with('/')) || name.contains("_ENV_") {
        return true;
    }
    name.match_indices("_PORT_").any(|(at, found)| is_port_form(name.get(at + found.len()..).unwrap_or_default()))
}

/// `8000_TCP`, and that with `_ADDR`, `_PORT` or `_PROTO`.
fn is_port_form(rest: &str) -> bool {
    let mut parts = rest.split('_');
    let port = parts.next().is_some_and(|port| port.parse::<u16>().is_ok());
    let transport = parts.next().is_some_and(|part| ["TCP", "UDP", "SCTP"].contains(&part));
    let last = parts.next().is_none_or(|part| ["ADDR", "PORT", "PROTO"].contains(&part));
    port && transport && last && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::is_service_link;

    #[test]
    fn the_forms_of_kubernetes_and_docker_are_known() {
        for (name, value) in [
            ("HEZAR_PORT", "tcp://10.0.0.11:8000"),
            ("HEZAR_PROXY_PORT", "udp://[fd00::1]:8000"),
            ("HEZAR_SERVICE_HOST", "10.0.0.11"),
            ("HEZAR_SERVICE_PORT", "8000"),
            ("HEZAR_SERVICE_PORT_HTTP", "8000"),
            ("HEZAR_API_SERVICE_PORT_METRICS", "9090"),
            ("HEZAR_PORT_8000_TCP", "tcp://10.0.0.11:8000"),
            ("HEZAR_PORT_8000_TCP_ADDR", "10.0.0.11"),
            ("HEZAR_PORT_8000_UDP_PROTO", "udp"),
            ("HEZAR_PROXY_PORT_8000_TCP_PORT", "8000"),
            ("HEZAR_NAME", "/web/hezar"),
            ("HEZAR_ENV_PATH", "/bin"),
        ] {
            assert!(is_service_link(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("HEZAR_PROXY_LISTEN", "127.0.0.1:1"),
            ("HEZAR_PORT", "8000"),
            ("HEZAR_PORT_ALL_TCP", "x"),
            ("HEZAR_PORT_8000_TCP_MORE", "x"),
            ("HEZAR_PROBE_URL", "tcp://x"),
        ] {
            assert!(!is_service_link(name, value), "{name}={value}");
        }
    }
}
