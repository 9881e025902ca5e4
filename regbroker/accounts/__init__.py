"""Who somebody is and what they may do: accounts, rights, passwords, tokens."""
