"""regbroker beside nginx, HAProxy and Caddy: `make bench`."""
