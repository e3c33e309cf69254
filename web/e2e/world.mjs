// Gives the screens something to show: open tunnels, a session, a failed request, a banned node, and one object of each kind.

import { connect } from "node:net";

// Opens a tunnel through the proxy and keeps it; `user` is a user name with options.
function tunnel(proxy, user) {
  const [host, port] = proxy.split(":");
  const login = user === undefined ? "" : `Proxy-Authorization: Basic ${Buffer.from(`${user}:x`).toString("base64")}\r\n`;
  return new Promise((done, failed) => {
    const socket = connect(Number(port), host, () => socket.write(`CONNECT demo.hezar:80 HTTP/1.1\r\nHost: demo.hezar:80\r\n${login}\r\n`));
    socket.once("data", () => {
      // Some bytes in both directions.
      socket.write("GET /bytes/100000 HTTP/1.1\r\nHost: demo.hezar\r\n\r\n");
      socket.on("data", () => {});
      done(socket);
    });
    socket.on("error", failed);
  });
}

export async function populate(instance) {
  const { proxy } = await instance.until("a working proxy", async () => {
    const status = await instance.ask("GET", "/api/v1/status");
    return status.nodes.healthy > 5 ? status : undefined;
  });
  const open = await Promise.all([tunnel(proxy), tunnel(proxy), tunnel(proxy, "alice-session-a1"), tunnel(proxy, "bob-country-de-session-shop")]);
  // No exit of the world is there: the request is refused, and the overview names it.
  await tunnel(proxy, "carol-country-aq").then((socket) => socket.destroy());
  const { nodes } = await instance.ask("GET", "/api/v1/nodes?state=dead&limit=1");
  if (nodes.length > 0) await instance.ask("POST", "/api/v1/bans", { ids: [nodes[0].id] });
  await instance.ask("POST", "/api/v1/sources", { name: "friends", links: ["trojan://secret@127.0.0.9:9?security=none#friend"], allow_private: true });
  await instance.ask("POST", "/api/v1/listeners", { name: "germany", listen: "127.0.0.1:0", countries: ["DE"] });
  const shadowsocks = { key: "AAECAwQFBgcICQoLDA0ODw==" };
  await instance.ask("POST", "/api/v1/listeners", { name: "outside", kind: "shadowsocks", listen: "127.0.0.1:0", host: "vps.example.org", shadowsocks });
  const links = [{ name: "germany", options: "country-de" }];
  await instance.ask("POST", "/api/v1/users", { name: "dana", password: "a long password", note: "only for the listener", listeners: ["germany", "outside"], links });
  await instance.ask("POST", "/api/v1/tokens", { name: "reader", scope: "read" });
  await instance.ask("POST", "/api/v1/subscriptions", { name: "phone", token: "the-token-of-the-phone", user: "dana", allow_private: true });
  await instance.ask("POST", "/api/v1/bans/sites", { site: "example.org", exit: "203.0.113.9", reason: "asks for a captcha" });
  await instance.ask("POST", "/api/v1/probe", { state: "healthy", wait: 0 });
  return () => open.forEach((socket) => socket.destroy());
}
