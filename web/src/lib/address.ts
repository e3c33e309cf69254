// Addresses that are given out.

const TOKEN_BYTES = 18;

// A token for an address: 24 letters, digits, hyphens and underscores out of 144 random bits.
export function newToken(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(TOKEN_BYTES));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

// Whether a host name means this machine alone.
export function isLoopback(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || /^127\./.test(host) || host === "[::1]" || host === "::1";
}
