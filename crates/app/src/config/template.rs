//! The commented configuration that `hezar init` writes.

/// Reads without a problem (a test keeps it so), and every commented line shows the default or an example.
pub const TEMPLATE: &str = r#"# Hezar: one proxy address in front of thousands of upstream proxies.
# Every key can also be set from the environment: proxy.listen is HEZAR_PROXY_LISTEN.
# `hezar config check` finds every mistake at once; `hezar config show` prints what is in force.

# data = "hezar-data"               # the store, the API token; a relative path starts at the folder of this file

[proxy]                             # the address that clients use: HTTP and SOCKS4/4a/5 on one port
listen = "127.0.0.1:8000"           # any other address than loopback needs users
# strategy = "smart"                # smart, round-robin, random, least-latency, least-connections, consistent-hash, sticky
# attempts = 16                     # nodes tried for one request, each on another server
# hedge_percent = 5                 # of 100 requests so many may ask a second node because the first is late
# repeat_unsafe = false             # true: also what may act twice (POST, unknown protocols) is sent to another node
# name_exit = true                  # HTTP answers say in Proxy-Status which node, exit, country and session served them
# deadline = "30s"                  # for all attempts together
# node_wait = "5s"                  # for the first healthy node, while nodes are yet to be probed; "0s": refuse at once
# idle_timeout = "10m"              # a tunnel without a byte is closed after this
# udp_idle_timeout = "5m"           # a UDP association without a datagram is closed after this
# handshake_timeout = "10s"         # what a client may take to say what it wants
# max_connections = 16384
# max_pending_per_client = 256      # connections of one address that have not logged in; the oldest makes room
# max_associations = 1024           # UDP associations, each with a socket of its own
# max_sessions = 100000             # sessions named in user names, over all listeners
# max_sessions_per_user = 10000     # one more ends the user's session that was unused for longest
# drain = "10s"                     # what open tunnels get at the end
# users = [{ name = "alice", password = "change me", connections = 100, requests_per_second = 50, bytes_per_second = "2MiB" }]
# client_limits = { connections = 500 }   # the same keys, for every client address

# [[listener]]                      # a further address over a part of the pool; what it does not say, it does as [proxy]
# name = "europe"
# listen = "127.0.0.1:8001"
# countries = ["DE", "NL"]          # also: sources, schemes, strategy, users, client_limits
# tags = "paid & !label:slow"       # tags of sources, label:, country:, scheme:, source:, is:insecure; with & | ! ( )
# max_latency = "800ms"
# top = 50                          # only the fastest ones
# allow_insecure = false            # no nodes that take any certificate

[api]                               # control and metrics
listen = "127.0.0.1:9090"
# enabled = true
# token = "…"                       # at least 16 characters; made at the first start when absent
# hosts = ["hezar.example.org"]     # names under which the API may be asked

# [pool]                            # how much lists from strangers may bring; what is beyond is counted and left out
# max_nodes = 1000000               # in all; what never worked and is listed no more goes first, then the dead
# max_nodes_per_source = 100000
# max_nodes_per_server = 10000      # on one host; a content network's address may stand for thousands
# allow_insecure = true             # false: nodes that take any certificate (skip-cert-verify) are kept and never used

[probe]                             # every node is checked again and again
url = "https://www.gstatic.com/generate_204"
expect_status = 204
# expect_body = "text that the body must contain"
timeout = "5s"                      # for one whole check
# connect_timeout = "5s"            # for reaching the node alone
interval = "60s"                    # between two checks of a living node; dead ones wait longer and longer
dead_after = 3                      # failures in a row
# forget_after = "3d"               # a dead node that no source lists any more is dropped after this
# concurrency = 1000                # default: from the open-file limit
# per_second = 500                  # checks started per second
# per_host = 8                      # checks at a time on one server
# per_host_per_second = 16          # checks started per second on one server; far fewer while nothing there answers
# trace_url = "https://www.cloudflare.com/cdn-cgi/trace"   # exit address and country; "" for none
# trace_interval = "1d"
# canary_url = "https://example.org/known.txt"   # a page whose bytes you know: a node that changes it, answers for it with
# canary_text = "the whole body"                 # another certificate (or canary_sha256), or never brings it while others
                                                 # do, carries nothing. Default: three well-known plain-HTTP pages by which
                                                 # browsers and systems find out whether somebody stands in between; ""
                                                 # for none. A node that tampers elsewhere alone is not seen by it.
# quarantine = "1d"                              # after it was last caught
# control = ["http://cp.cloudflare.com/generate_204"]      # asked directly when many nodes fail at once: is it us?

# [fetch]
# timeout = "60s"

# [geo]
# mmdb = "country.mmdb"             # countries of exits (MaxMind format), believed before trace_url; read again when it changes

# [store]
# url = "sqlite:hezar.db"

# [log]
# level = "info"
# format = "pretty"                 # or json
# folder = "logs"                   # daily files besides the terminal, readable by their owner alone
# keep = 14                         # days
# max_bytes = "1GiB"                # of all files together

# A source is one of: url, file, github, telegram, links.
#   via = "auto"                    directly, and over the pool's nodes when that fails (https only); "direct"; "pool"
#   allow_private = true            accepts nodes on private and loopback addresses
#   enabled = false                 is not read, and its nodes are not used
#   tags = ["paid"]                 for the expressions of listeners
#   user_agent, headers, max_bytes, interval, scheme (of bare ip:port lines)

[[source]]
name = "v2rayng-config"
github = "ALIILAPRO/v2rayNG-Config"
paths = ["server.txt"]
interval = "1h"

[[source]]
name = "openray"
github = "sakha1370/OpenRay"
paths = ["output/all_valid_proxies.txt"]
interval = "1h"

[[source]]
name = "multi-proxy-config-fetcher"
github = "4n0nymou3/multi-proxy-config-fetcher"
paths = ["configs/proxy_configs.txt"]
interval = "1h"

[[source]]
name = "freenodes"
github = "Barabama/FreeNodes"
paths = ["nodes/*.txt"]
interval = "6h"

[[source]]
name = "v2rayfree"
github = "aiboboxx/v2rayfree"
paths = ["v2"]
interval = "6h"

[[source]]
name = "http-and-socks"
github = "monosans/proxy-list"
paths = ["proxies/all.txt"]
interval = "30m"

# [[source]]
# name = "subscription"
# url = "https://example.org/sub?date={Ymd}"
# user_agent = "clash.meta"

# [[source]]
# name = "channel"
# telegram = "name_of_a_public_channel"
# pages = 3

# [[source]]
# name = "mine"
# file = "nodes/*.txt"

# [[source]]
# name = "by-hand"
# links = ["ss://…", "vless://…"]
"#;
