"""TLS on connections, towards clients and upstreams."""
