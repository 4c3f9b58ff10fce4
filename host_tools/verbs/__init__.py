"""One file a verb: `command` is what typer calls, `do_verb` the work without the terminal.

Verb files import what is heavy (cryptography, brokers, emulators) inside `do_verb`, so that
`uward --help` answers at once.
"""
