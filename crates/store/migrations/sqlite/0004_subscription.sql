-- What a provider says about a subscription (traffic, expiry, title), as the fetcher wrote it.

-- subscription: JSON text; NULL when the provider says nothing.
ALTER TABLE sources ADD COLUMN subscription TEXT;
