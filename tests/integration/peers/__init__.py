"""The programs on both sides of regbroker, each as a fixture that cleans up.

Nothing here imports regbroker: it is one more process among the peers. Everything
listens on a loopback port that the kernel chose and keeps its files in a directory
that the test owns.
"""
