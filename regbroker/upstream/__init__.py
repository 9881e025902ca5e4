"""One registry behind regbroker: its connections, its tokens, our account there."""
