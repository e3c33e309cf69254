//! Every stable code with its meaning, and what to do about it.

use hezar_api::CodeDto;
use hezar_core::CodeDoc;

/// A table of codes: its heading in docs/errors.md, the codes, and what to do about those that have no advice of their own.
pub(crate) struct CodeTable {
    pub(crate) area: &'static str,
    pub(crate) codes: &'static [CodeDoc],
    advice: &'static str,
}

const NODE: &str = "Another node is tried by itself; `hezar nodes` shows what each node says. When all nodes say the same, look at this machine's \
                    own network and at the test URL (probe.url).";
const SOURCE: &str = "The source is read again by itself, later each time. `hezar fetch --source NAME` reads it now and says what it gives; correct or remove it \
                      in the configuration if it stays so.";

/// Every table, in the order of docs/errors.md.
const TABLES: &[CodeTable] = &[
    CodeTable { area: "Connections through a node", codes: hezar_engine::Cause::CODES, advice: NODE },
    CodeTable {
        area: "Nodes that cannot be dialled",
        codes: hezar_engine::BuildError::CODES,
        advice: "Nothing needs to be done: the node is kept and not used. docs/out-of-scope.md says what is not dialled.",
    },
    CodeTable {
        area: "Nodes that are not to be dialled",
        codes: hezar_pool::REFUSED,
        advice: "Set pool.allow_insecure if such nodes are to be used all the same.",
    },
    CodeTable {
        area: "The gateway's own answers",
        codes: hezar_gateway::Refusal::CODES,
        advice: "Ask `hezar status` why, or GET /api/v1/explain with the same user name and host.",
    },
    CodeTable {
        area: "Refused lines of a list",
        codes: hezar_formats::RejectCode::CODES,
        advice: "`hezar parse FILE` shows the line; correct it where it is published, or leave it out. The other lines are read all the same.",
    },
    CodeTable { area: "Sources", codes: hezar_fetch::FetchError::CODES, advice: SOURCE },
    CodeTable { area: "Sources, after the fetch", codes: crate::sources::SOURCE_CODES, advice: SOURCE },
    CodeTable {
        area: "Nodes in quarantine",
        codes: hezar_probe::TAMPERING,
        advice: "The node carries nothing and is probed on; it comes back when it stops. Ban it to be rid of it.",
    },
    CodeTable {
        area: "The store",
        codes: hezar_store::StoreError::CODES,
        advice: "See that the data folder can be written and the disk has room; what could not be written waits in memory, as `hezar status` says.",
    },
    CodeTable {
        area: "Codes of other versions",
        codes: hezar_core::Code::CODES,
        advice: "Nothing needs to be done; the version that wrote the store knows the code.",
    },
    CodeTable {
        area: "The API",
        codes: hezar_api::ApiError::CODES,
        advice: "Correct the request as `detail` says; /api/v1/openapi.json describes every request.",
    },
];

/// What to do about codes that a client or an operator meets often, where the advice of the table is not enough.
const ADVICE: &[(&str, &str)] = &[
    (
        "pool-empty",
        "Wait for the first probes, or add sources and nodes; `hezar status` says in one line why no node works.",
    ),
    (
        "no-match",
        "Ask for another country, or for none; GET /api/v1/explain with the same user name counts which rule leaves out which nodes.",
    ),
    (
        "no-datagrams",
        "Add nodes whose protocol carries UDP (Shadowsocks, Trojan, VLESS, Hysteria 2, TUIC, WireGuard), or use TCP.",
    ),
    (
        "only-transparent",
        "Use https, add other nodes, or set proxy.allow_transparent if the target may know your address.",
    ),
    ("no-onion", "Add a source with `tor = 10`; docs/tor.md says what it needs."),
    (
        "tor-not-ready",
        "Wait a minute; where Tor is blocked, give the source bridges (tor_bridges), as docs/tor.md describes.",
    ),
    ("tor-failed", "Do what the text says: install tor, or correct the source; `hezar doctor` looks for the programs."),
    ("not-carried", "Use port 443, or add nodes that are no HTTP proxies."),
    (
        "all-attempts-failed",
        "Try again: other nodes are chosen then. If one target fails always, ask GET /api/v1/explain with host= for the evidence.",
    ),
    ("deadline", "Try again; raise proxy.deadline if your nodes are slow and few."),
    (
        "auth-missing",
        "Send the user name and the password of a user of this listener (Proxy-Authorization: Basic, or SOCKS5 user/password).",
    ),
    ("auth-wrong", "Check the user name in front of the first option, and the password."),
    ("bad-option", "Correct the option that the text names; docs/access.md lists all options and their values."),
    ("bad-request", "Correct the request as the text says; the client speaks no HTTP/1.1 that can be forwarded."),
    (
        "not-a-proxy-request",
        "Enter this address as the proxy of a program; it is no web page. The API and the page have their own address.",
    ),
    ("header-too-large", "Send fewer or shorter headers."),
    (
        "client-timeout",
        "Send the whole request at once, or look for what delays it between the client and this address.",
    ),
    ("client-gone", "Nothing needs to be done: the client went away by itself."),
    ("http2", "Use HTTP/1.1 or SOCKS towards the proxy; HTTP/2 to the target goes through a tunnel as usual."),
    ("tls-on-plain-port", "Enter the proxy as http:// or socks5://, not https://."),
    ("unsupported-command", "Use CONNECT or UDP ASSOCIATE; BIND is not served."),
    ("bad-socks", "Choose SOCKS5, SOCKS4 or HTTP in the client; what it sent is none of them."),
    ("connection-limit", "Close idle connections, or raise proxy.max_connections."),
    ("user-limit", "Send fewer requests at a time, or raise the limits of the user."),
    ("client-limit", "Send fewer requests at a time from this address, or raise the limits of proxy.client_limits."),
    ("login-limit", "Wait a minute, and correct the password before the next try."),
    ("association-limit", "Close UDP associations that are not needed, or raise proxy.max_associations."),
    ("user-disabled", "Enable the user again, or log in as another one."),
    ("user-expired", "Give the user a later end, or log in as another one."),
    ("user-removed", "Add the user again, or log in as another one."),
    ("quota-exceeded", "Wait for the next day or month of UTC, or raise the quota of the user."),
    ("client-denied", "Add users, or name the client's private network in proxy.open_to or at the listener."),
    ("listener-denied", "Use a listener that the user may use, or add this one to the user's listeners."),
    ("country-denied", "Ask for a country that the user may use, or for none."),
    ("port-denied", "Allow the port in proxy.allow_ports and proxy.deny_ports, at the listener or at the user."),
    ("host-denied", "Allow the host in proxy.allow_hosts and proxy.deny_hosts, at the listener or at the user."),
    ("private-denied", "Set proxy.allow_private_targets, at the listener or at the user, if that is meant."),
    ("idle", "Open the connection again; raise proxy.idle_timeout, or let the program send keep-alives."),
    ("ended", "An operator has ended the connection; open it again if that was a mistake."),
    ("shutting-down", "Connect again in a moment: the program is being restarted."),
    (
        "api-unauthorized",
        "Send `Authorization: Bearer TOKEN`; the token stands in the file `token` of the data folder.",
    ),
    ("api-forbidden", "Use a token of the scope that the text names."),
    ("api-foreign-host", "Ask by an IP address or localhost, or add the name to api.hosts."),
    ("api-method", "Use one of the methods in the header Allow."),
    ("api-too-large", "Send the list in parts of at most 32 MiB."),
    ("api-media-type", "Send the bare text or JSON as the body, not compressed, and not as a form."),
    ("api-timeout", "Send the whole body without a pause of 15 seconds."),
    ("api-busy", "Try again in a moment."),
    ("api-internal", "Report it with the lines of the log around it."),
    ("api-not-found", "List what there is with GET on the path above; ids change when a node's link changes."),
    ("api-no-exit", "Wait until a node of the session's country works, or end the session."),
    (
        "api-store-overflow",
        "See that the data folder can be written, then try again: GET /api/v1/status says how the store is.",
    ),
    ("api-store-refused", "Look into the log for the reason; the change is in force until the end of the process."),
    ("api-unavailable", "Ask again after the restart."),
];

/// Every table of codes, for docs/errors.md.
pub(crate) fn tables() -> impl Iterator<Item = (&'static str, &'static [CodeDoc])> {
    TABLES.iter().map(|table| (table.area, table.codes))
}

/// Every code, in the order of docs/errors.md.
pub(crate) fn all() -> Vec<CodeDto> {
    let codes = TABLES.iter().flat_map(|table| {
        table.codes.iter().map(|doc| {
            let own = ADVICE.iter().find(|(code, _)| *code == doc.code).map(|(_, advice)| *advice);
            CodeDto {
                code: doc.code.to_owned(),
                area: table.area.to_owned(),
                meaning: doc.meaning.to_owned(),
                advice: own.unwrap_or(table.advice).to_owned(),
            }
        })
    });
    codes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_given_for_codes_that_exist_and_names_settings_that_exist() {
        let all = all();
        let settings = include_str!("../../../../docs/settings.md");
        for (code, advice) in ADVICE {
            assert!(all.iter().any(|known| known.code == *code), "{code}");
            assert!(advice.ends_with('.'), "{code}");
            let words = advice.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'));
            for key in words
                .map(|word| word.trim_matches('.'))
                .filter(|word| word.starts_with("proxy.") || word.starts_with("api."))
            {
                let (_, name) = key.rsplit_once('.').unwrap();
                assert!(
                    settings.contains(&format!("`{name}`")) || settings.contains(&format!("`{key}`")),
                    "{code}: {key}"
                );
            }
        }
    }
}
