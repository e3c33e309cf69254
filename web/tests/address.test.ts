import { expect, test } from "vitest";

import { isLoopback } from "../src/lib/address";

test("addresses that lead to this machine alone are known", () => {
  for (const host of ["localhost", "hezar.localhost", "127.0.0.1", "127.3.2.1", "[::1]"]) expect(isLoopback(host), host).toBe(true);
  for (const host of ["192.0.2.1", "example.org", "localhost.example.org", "[2001:db8::1]"]) expect(isLoopback(host), host).toBe(false);
});
