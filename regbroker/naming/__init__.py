"""The rules between public and upstream repository names."""
