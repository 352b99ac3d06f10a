"""Who looks at a page: sessions, passkeys, one-time codes, OIDC, and proof for a loosening."""
