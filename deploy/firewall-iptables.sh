#!/bin/sh
# What other machines may reach, written by `hezar firewall print --format iptables`. Other chains stay as they are.
# The rules of each family are replaced as a whole or not at all. `hezar firewall remove` takes them away.
# (nftables remembers more clients than the 100 of iptables' "recent" and is the better choice where it is there.)
set -eu

RULES4='*filter
:HEZAR-INPUT - [0:0]
:HEZAR-PROXY - [0:0]
-A HEZAR-INPUT -i lo -j ACCEPT
-A HEZAR-INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A HEZAR-INPUT -m conntrack --ctstate INVALID -j DROP
-A HEZAR-INPUT -p icmp --icmp-type destination-unreachable -j ACCEPT
-A HEZAR-INPUT -p icmp --icmp-type time-exceeded -j ACCEPT
-A HEZAR-INPUT -p icmp --icmp-type parameter-problem -j ACCEPT
-A HEZAR-INPUT -p icmp --icmp-type echo-request -j ACCEPT
-A HEZAR-INPUT -p tcp --dport 22 -j ACCEPT
-A HEZAR-INPUT -j DROP
-A HEZAR-PROXY -j ACCEPT
COMMIT'
RULES6='*filter
:HEZAR-INPUT - [0:0]
:HEZAR-PROXY - [0:0]
-A HEZAR-INPUT -i lo -j ACCEPT
-A HEZAR-INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A HEZAR-INPUT -m conntrack --ctstate INVALID -j DROP
-A HEZAR-INPUT -p icmpv6 --icmpv6-type destination-unreachable -j ACCEPT
-A HEZAR-INPUT -p icmpv6 --icmpv6-type time-exceeded -j ACCEPT
-A HEZAR-INPUT -p icmpv6 --icmpv6-type parameter-problem -j ACCEPT
-A HEZAR-INPUT -p icmpv6 --icmpv6-type echo-request -j ACCEPT
-A HEZAR-INPUT -p icmpv6 --icmpv6-type packet-too-big -j ACCEPT
-A HEZAR-INPUT -p icmpv6 --icmpv6-type 133 -j ACCEPT
-A HEZAR-INPUT -p icmpv6 --icmpv6-type 134 -j ACCEPT
-A HEZAR-INPUT -p icmpv6 --icmpv6-type 135 -j ACCEPT
-A HEZAR-INPUT -p icmpv6 --icmpv6-type 136 -j ACCEPT
-A HEZAR-INPUT -p icmpv6 --icmpv6-type 130 -j ACCEPT
-A HEZAR-INPUT -p icmpv6 --icmpv6-type 131 -j ACCEPT
-A HEZAR-INPUT -p icmpv6 --icmpv6-type 132 -j ACCEPT
-A HEZAR-INPUT -p icmpv6 --icmpv6-type 143 -j ACCEPT
-A HEZAR-INPUT -s fe80::/10 -p udp --sport 547 --dport 546 -j ACCEPT
-A HEZAR-INPUT -p tcp --dport 22 -j ACCEPT
-A HEZAR-INPUT -j DROP
-A HEZAR-PROXY -j ACCEPT
COMMIT'

apply() {
    printf '%s\n' "$2" | "$1-restore" --noflush --test
    printf '%s\n' "$2" | "$1-restore" --noflush
    "$1" --check INPUT --jump HEZAR-INPUT 2> /dev/null || "$1" --insert INPUT 1 --jump HEZAR-INPUT
}

# IPv6 first: it may be missing, and must not be what fails after IPv4 has been closed.
if [ -e /proc/net/if_inet6 ]; then apply ip6tables "$RULES6"; fi
apply iptables "$RULES4"
