-- http_ability: what an HTTP proxy carries, two bits each for plain requests, tunnels to 443 and tunnels to other ports.
ALTER TABLE proxies ADD COLUMN http_ability BIGINT NOT NULL DEFAULT 0;
